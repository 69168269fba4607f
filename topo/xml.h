/* SPDX-License-Identifier: MIT */
/* xml.h: checks an XML file before hwloc reads it. */
#ifndef WEIR_TOPO_XML_H
#define WEIR_TOPO_XML_H

#include "weir/topo.h"

/*
 * text ends with a zero byte. 0; or -EINVAL with the reason in *why, which begins with "'name'"
 * and names the line. hwloc may still refuse what passes.
 */
int weir__topo_xml_check(const char *text, const char *name, struct weir_why *why);

#endif
