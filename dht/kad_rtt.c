/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_rtt.h"

static proa_ns clamp(proa_ns rto)
{
    if (rto < KAD_RTO_FLOOR)
        return KAD_RTO_FLOOR;
    return rto > KAD_RTO_CAP ? KAD_RTO_CAP : rto;
}

void kad_rtt_sample(struct kad_rtt *self, proa_ns rtt)
{
    if (rtt == 0)
        rtt = 1; /* 0 means "no sample" */
    if (rtt > KAD_RTO_CAP)
        rtt = KAD_RTO_CAP;
    if (self->srtt == 0) {
        self->srtt = rtt;
        self->rttvar = rtt / 2;
        return;
    }
    proa_ns error = self->srtt > rtt ? self->srtt - rtt : rtt - self->srtt;
    self->rttvar += error / 4;
    self->rttvar -= self->rttvar / 4;
    self->srtt = self->srtt - self->srtt / 8 + rtt / 8;
    if (self->srtt == 0)
        self->srtt = 1;
}

proa_ns kad_rtt_rto(const struct kad_rtt *self, proa_ns median)
{
    if (self->srtt != 0)
        return clamp(self->srtt + 4 * self->rttvar);
    return median != 0 ? clamp(4 * median) : KAD_RTO_FIRST;
}
