/* rules: freshness and storability together. */
#ifndef CDN_EDGE_RULES_H
#define CDN_EDGE_RULES_H
#define edge_policy edge_rules
#include "edge/freshness.h"
#include "edge/storable.h"
#undef edge_policy
#endif
