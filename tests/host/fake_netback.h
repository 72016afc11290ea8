/* fake_netback.h: the one interface that netback has, of domain 1; its counters are the test's to write. */
#ifndef FAKE_NETBACK_H
#define FAKE_NETBACK_H

#include <amphi/net.h>

extern struct net_device fake_vif;

#endif
