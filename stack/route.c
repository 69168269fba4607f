/* SPDX-License-Identifier: MIT */
/*
 * route.c: the instance's own addresses and its routes, which are fixed when it is made.
 *
 * The table is an array sorted by prefix length, the longest first, so that the first match is the
 * best one. A linear search is enough: the table is small, and connections cache their next hop.
 */
#include "stack/instance.h"

static uint32_t mask4(unsigned bits)
{
	return bits == 0 ? 0 : UINT32_MAX << (32 - bits);
}

bool weir__ip_is_multicast(const struct weir__ip_address *address)
{
	return weir__ip_is_v4(address) ? weir__ip_v4_number(address) >> 28 == 0xe :
					 address->bytes[0] == 0xff;
}

bool weir__ip_is_broadcast(const struct weir__netstack *net,
			   const struct weir__ip_address *address)
{
	if (!weir__ip_is_v4(address))
		return false;
	if (weir__ip_v4_number(address) == UINT32_MAX)
		return true;
	for (unsigned i = 0; i < net->ip.own_count; i++)
		if (weir__ip_equal(&net->ip.own[i].broadcast, address))
			return true;
	return false;
}

bool weir__ip_is_own(const struct weir__netstack *net, const struct weir__ip_address *address)
{
	for (unsigned i = 0; i < net->ip.own_count; i++)
		if (weir__ip_equal(&net->ip.own[i].address, address))
			return true;
	return false;
}

/* Not 0/8, 127/8, multicast or reserved (RFC 1122 3.2.1.3, RFC 6890). */
static bool could_be_a_host(const struct weir__ip_address *address)
{
	uint32_t first;

	if (!weir__ip_is_v4(address))
		return !weir__ip_is_any(address) && !weir__ip_is_multicast(address);
	first = weir__ip_v4_number(address) >> 24;
	return first != 0 && first != 127 && first < 224;
}

bool weir__ip_is_unicast(const struct weir__netstack *net, const struct weir__ip_address *address)
{
	return could_be_a_host(address) && !weir__ip_is_broadcast(net, address);
}

uint32_t weir__ip_header_bytes(const struct weir__ip_address *address)
{
	return weir__ip_is_v4(address) ? 20 : 40;
}

const struct weir__route *weir__route_find(const struct weir__netstack *net,
					   const struct weir__ip_address *destination)
{
	for (unsigned i = 0; i < net->ip.route_count; i++) {
		const struct weir__route *route = &net->ip.routes[i];

		if (weir__ip_in_prefix(destination, &route->prefix, route->bits))
			return route;
	}
	return NULL;
}

int weir__ip_source(const struct weir__netstack *net, const struct weir__ip_address *destination,
		    struct weir__ip_address *ret_source)
{
	const struct weir__route *route;

	if (weir__ip_is_own(net, destination)) {
		*ret_source = *destination;
		return 0;
	}
	if (weir__ip_is_broadcast(net, destination) || weir__ip_is_multicast(destination)) {
		*ret_source = net->ip.own[0].address;
		return 0;
	}
	route = weir__route_find(net, destination);
	if (route == NULL)
		return -ENETUNREACH;
	*ret_source = route->source;
	return 0;
}

static void route_add(struct weir__ip *ip, const struct weir__route *route)
{
	unsigned at = ip->route_count++;

	for (; at > 0 && ip->routes[at - 1].bits < route->bits; at--)
		ip->routes[at] = ip->routes[at - 1];
	ip->routes[at] = *route;
}

static int own_add(struct weir__ip *ip, const struct weir__netstack_address *given)
{
	struct weir__ip_own *own = &ip->own[ip->own_count];
	uint32_t number = weir__ip_v4_number(&given->address);
	bool link = given->prefix < 31;		/* RFC 3021: /31 has no broadcast address */

	if (!weir__ip_is_v4(&given->address) || given->prefix > 32 ||
	    !could_be_a_host(&given->address))
		return -EINVAL;
	if (link && ((number & ~mask4(given->prefix)) == 0 ||
		     (number | mask4(given->prefix)) == UINT32_MAX))
		return -EINVAL;
	own->address = given->address;
	own->broadcast = (struct weir__ip_address){ .words = { 0, 0 } };
	if (link)
		own->broadcast = weir__ip_v4(number | ~mask4(given->prefix));
	ip->own_count++;
	route_add(ip, &(struct weir__route){ .prefix = given->address,
					     .source = given->address,
					     .bits = given->prefix + WEIR_IP_V4_BITS });
	return 0;
}

/* A gateway must be on the link of one of our addresses, which becomes the source address. */
static int gateway_add(struct weir__netstack *net, const struct weir__netstack_route *given)
{
	struct weir__route route = { .prefix = given->prefix,
				     .gateway = given->gateway,
				     .bits = given->bits + WEIR_IP_V4_BITS };
	const struct weir__route *link;

	if (!weir__ip_is_v4(&given->prefix) || given->bits > 32)
		return -EINVAL;
	if (weir__ip_is_any(&given->gateway)) {
		route.gateway = (struct weir__ip_address){ .words = { 0, 0 } };
		route.source = net->ip.own[0].address;
	} else {
		link = weir__route_find(net, &given->gateway);
		if (link == NULL || !weir__ip_is_any(&link->gateway) ||
		    weir__ip_is_own(net, &given->gateway) ||
		    !weir__ip_is_unicast(net, &given->gateway))
			return -EINVAL;
		route.source = link->source;
	}
	route_add(&net->ip, &route);
	return 0;
}

int weir__routes_init(struct weir__netstack *net, const struct weir__netstack_config *cfg)
{
	int rc;

	if (cfg->address_count == 0 || cfg->address_count > WEIR_IP_ROUTES ||
	    cfg->route_count > WEIR_IP_ROUTES - cfg->address_count)
		return -EINVAL;
	for (unsigned i = 0; i < cfg->address_count; i++)
		if ((rc = own_add(&net->ip, &cfg->addresses[i])) < 0)
			return rc;
	for (unsigned i = 0; i < cfg->route_count; i++)
		if ((rc = gateway_add(net, &cfg->routes[i])) < 0)
			return rc;
	return 0;
}
