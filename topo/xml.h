/* SPDX-License-Identifier: MIT */
/* xml.h: what an XML file has to have before hwloc may see it. */
#ifndef WEIR_TOPO_XML_H
#define WEIR_TOPO_XML_H

#include "weir/topo.h"

/*
 * text ends with a zero. 0; -EINVAL, and *why begins with "'name'" and names the line. What passes
 * may still be refused by hwloc.
 */
int weir__topo_xml_check(const char *text, const char *name, struct weir_why *why);

#endif
