/* SPDX-License-Identifier: MIT */
/* ethtool.c: what a network card's driver reports, by the ioctls of ethtool(8). */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/doctor/doctor.h"

static bool ask(int fd, const char *name, void *question)
{
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	request.ifr_data = question;
	return ioctl(fd, SIOCETHTOOL, &request) == 0;
}

static void ask_queues(int fd, const char *name, struct doctor_nic *nic)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };

	if (!ask(fd, name, &channels))
		return;
	nic->combined = channels.max_combined > 0;
	nic->queues = nic->combined ? channels.combined_count : channels.rx_count;
	nic->queues_max = nic->combined ? channels.max_combined : channels.max_rx;
}

static void ask_ring(int fd, const char *name, struct doctor_nic *nic)
{
	struct ethtool_ringparam ring = { .cmd = ETHTOOL_GRINGPARAM };

	if (!ask(fd, name, &ring))
		return;
	nic->ring = ring.rx_pending;
	nic->ring_max = ring.rx_max_pending;
}

static int ask_flag(int fd, const char *name, unsigned command)
{
	struct ethtool_value value = { .cmd = command };

	return ask(fd, name, &value) ? value.data != 0 : -1;
}

void doctor_ethtool(const char *name, struct doctor_nic *ret_nic)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*ret_nic = (struct doctor_nic){ .gro = -1, .tso = -1 };
	if (fd < 0)
		return;
	ask_queues(fd, name, ret_nic);
	ask_ring(fd, name, ret_nic);
	ret_nic->gro = ask_flag(fd, name, ETHTOOL_GGRO);
	ret_nic->tso = ask_flag(fd, name, ETHTOOL_GTSO);
	close(fd);
}
