/* SPDX-License-Identifier: BSD-2-Clause */
/* A Kerberos realm without a KDC, to compare with: keytab and service ticket in memory. */
#ifndef BENCH_KRB5_TICKET_H
#define BENCH_KRB5_TICKET_H

/* Makes a key for host/server.example.org and a ticket for it, as a KDC would, and names both to this
 * process's libkrb5 (KRB5CCNAME, KRB5_KTNAME).  Ends the program when that fails.  KRB5_CONFIG must
 * name a configuration with realm EXAMPLE.ORG (bench/run.sh). */
void bench_krb5_prepare(void);

#endif
