/* latency: the modelled round-trip time between two places. Modelled, never measured: whoever shows it says
 * so. */
#ifndef CDN_GEO_DATA_LATENCY_H
#define CDN_GEO_DATA_LATENCY_H

/* Round-trip time in ms: 1.5 times the round trip of light in fibre (200 km/ms) along the great circle, for
 * the detours that cables take, and 3 ms for the access at both ends. Median error against measured cloud
 * matrices: about 15 %. This is the one function to replace when a model fitted on real paths is there. */
double geo_rtt_ms(double lat1, double lon1, double lat2, double lon2);

#endif
