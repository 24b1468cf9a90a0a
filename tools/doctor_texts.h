/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that gss-ipsec doctor can say: X(name, verdict, area, sentence, command, advice).
 *
 * %1, %2, %3 stand for what doctor_tell() is given; in a command they are quoted for the shell, and
 * %=1 puts one in as it is (words that this program made itself).  A command, run by root as it
 * stands, mends the set-up; where none can, or where it needs a decision, there is advice.
 */
#ifndef TOOLS_DOCTOR_TEXTS_H
#define TOOLS_DOCTOR_TEXTS_H

/* clang-format off */
#define DOCTOR_TEXTS(X) \
	/* how programs find the plugin */ \
	X(REGISTERED, OK, "registration", "%1 registers %2, and MIT's library finds the mechanism", NULL, NULL) \
	X(REGISTERED_BY_VARIABLE, OK, "registration", "GSS_MECH_CONFIG names %1, which registers %2, and MIT's library finds the mechanism; setuid programs ignore that variable", NULL, NULL) \
	X(NOT_REGISTERED, BROKEN, "registration", "neither /etc/gss/mech nor a file *.conf in /etc/gss/mech.d registers the plugin, so programs say \"An unsupported mechanism was requested\"", "mkdir -p /etc/gss/mech.d && echo %1 >>/etc/gss/mech.d/ipsec.conf", NULL) \
	X(NOT_REGISTERED_BY_VARIABLE, BROKEN, "registration", "GSS_MECH_CONFIG names %2, which does not register the plugin, and all of /etc/gss/mech.d is passed over", "echo %1 >>%2", "or take GSS_MECH_CONFIG out of the program's environment") \
	X(REGISTRATION_UNREADABLE, BROKEN, "registration", "this user may not read %1, so programs do not see what it registers", "chmod a+rX %1", NULL) \
	X(PLUGIN_ELSEWHERE, BROKEN, "registration", "%1 names the plugin %2, which is not there; programs that look at all mechanisms (python3-gssapi) may even crash", "sed -i %3 %1", NULL) \
	X(PLUGIN_MISSING, BROKEN, "registration", "the plugin %2, which %1 names, is not there; programs that look at all mechanisms (python3-gssapi) may even crash", NULL, "install gss-ipsec again; until then take the line out of %1") \
	X(PLUGIN_UNREADABLE, BROKEN, "registration", "this user may not read the plugin %1", "chmod a+rx %1", NULL) \
	X(PLUGIN_DEFECT, BROKEN, "registration", "the plugin %1 cannot be loaded: %2", NULL, "install gss-ipsec again, as built for this machine and its libraries") \
	X(PLUGIN_UNSEEN, BROKEN, "registration", "%1 registers %2, but MIT's library does not find the mechanism", NULL, "look for a second line with the same OID in /etc/gss, and whether libgssapi_krb5 is MIT's, 1.20 or newer") \
	/* configuration */ \
	X(CONFIG_OK, OK, "configuration", "in order", NULL, NULL) \
	X(CONFIG_NONE, BROKEN, "configuration", "there is none: neither %1 nor %2 exists", NULL, "begin with 'gss-ipsec keygen'; README.md and ipsec.conf(5) show the rest") \
	X(CONFIG_NONE_NAMED, BROKEN, "configuration", "GSS_IPSEC_CONFIG names %1, which does not exist", NULL, "make that file, or take GSS_IPSEC_CONFIG out of the program's environment") \
	X(CONFIG_UNREADABLE, BROKEN, "configuration", "this user may not read %1", "chmod a+r %1", NULL) \
	X(CONFIG_MODE, BROKEN, "configuration", "others than its owner may write to %1, so no program takes it", "chmod go-w %1", NULL) \
	X(CONFIG_OWNER, BROKEN, "configuration", "%1 belongs to neither root nor this user, so no program takes it", "chown root %1", NULL) \
	X(CONFIG_MISTAKE, BROKEN, "configuration", "%1", NULL, "correct that line; ipsec.conf(5) has every key") \
	X(LATCH_OFF, BROKEN, "configuration", "latching is switched off (latch = no) %1", NULL, "take 'latch = no' out of [gss-ipsec] and [service], or write 'latch = yes'") \
	X(LATCH_AUTO, WARNING, "configuration", "latch = auto %1: contexts complete without a latch, too", NULL, "'latch = yes' or 'latch = require' refuse such contexts") \
	/* identities */ \
	X(IDENTITY_OK, OK, "identity", "%1 is %2, key %3", NULL, NULL) \
	X(IDENTITY_ANONYMOUS, OK, "identity", "%1 is nobody (anonymous)", NULL, NULL) \
	X(IDENTITY_OTHERS, OK, "identity", "%1 is for programs of %2; run as that user, the doctor can tell more", NULL, NULL) \
	X(IDENTITY_NOT_OFFERED, OK, "identity", "%1 is for programs of %2; run as that user, the doctor can tell more. One that looks for mechanisms as root and becomes %2 afterwards (slapd, Postfix) finds it only with 'offered_to_root = yes' there", NULL, NULL) \
	X(IDENTITY_NONE, BROKEN, "identity", "none is configured, so programs say \"No credentials\" or \"Key table file not found\"", NULL, "make a key with 'gss-ipsec keygen', name it in an [identity] section of the configuration, and give the other side the SHA256 name that it prints") \
	X(IDENTITY_ROLE, BROKEN, "identity", "none that this user may use %1", NULL, "look at 'usage' in [identity], and whose the key files are") \
	X(IDENTITY_SERVICE, BROKEN, "identity", "none of this user's answers for %1", NULL, "compare 'host' and 'services' in [identity] with the name that clients ask for") \
	X(KEY_MISSING, BROKEN, "identity", "%1: its key file %2 is not there", "gss-ipsec keygen --out %2 && chown %3 %2", "then give the other side the new key's SHA256 name; its peer database has the old one") \
	X(KEY_DENIED, BROKEN, "identity", "%1: this user may not read its key file %2", NULL, "make this user a key and an [identity] of his own; or, where that identity is meant for this user and nobody else, give him the file: 'chown %3 %2', with which its present owner's programs lose it") \
	X(KEY_MODE, BROKEN, "identity", "%1: others can read its key file %2, so no program takes it", "chmod 0600 %2", "if others may have read it, make a new key instead") \
	X(KEY_OWNER, BROKEN, "identity", "%1: its key file %2 belongs to neither this user nor root, so no program of this user takes it", "chown %3 %2", NULL) \
	X(KEY_BAD, BROKEN, "identity", "%1: %2", "mv %3 %3.bad && gss-ipsec keygen --out %3 && chown --reference=%3.bad %3", "then give the other side the new key's SHA256 name") \
	X(IDENTITY_BAD, BROKEN, "identity", "%1: %2", NULL, "correct that [identity] in the configuration") \
	/* peers */ \
	X(PEERS_OK, OK, "peers", "%1 in the peer database", NULL, NULL) \
	X(PEERS_NONE, BROKEN, "peers", "the peer database is empty and unknown_peer is refuse, so nobody can be the other side", NULL, "add one: gss-ipsec peer add NAME KEY, with the key that 'gss-ipsec doctor' shows on the other side") \
	X(PEERS_ANY, WARNING, "peers", "the peer database is empty, or has no such entry; %1", NULL, NULL) \
	X(PEER_OK, OK, "peers", "%1 has the key %2", NULL, NULL) \
	X(PEER_ANONYMOUS, OK, "peers", "%1 may be nobody (anonymous)", NULL, NULL) \
	X(PEER_UNKNOWN, BROKEN, "peers", "the peer database does not have %1", NULL, "add it: gss-ipsec peer add %1 KEY, with the key that 'gss-ipsec doctor' shows there; or ask for one of: %2") \
	X(PEER_UNKNOWN_KEY, BROKEN, "peers", "the peer database does not have %1", "gss-ipsec peer add %1 %2", "only when you know from the other side itself that this is its key") \
	X(PEER_TAKEN, WARNING, "peers", "the peer database does not have %1, but unknown_peer = accept takes it: it will be known by its key alone", NULL, NULL) \
	X(PEER_SHORT_NAME, BROKEN, "peers", "the peer database does not have %1, but %2; a host's name is compared whole, and never looked up", NULL, "let the program ask for %2, or correct the entry's 'host'") \
	X(PEER_OTHER_NAME, BROKEN, "peers", "the key %2 is in the peer database, but it is %3 there and not %1", NULL, "let the program ask for %3, or correct the entry's name") \
	X(PEER_KEY_CHANGED, BROKEN, "peers", "the peer database has another key for %1 than %2: the other side has a new key, or somebody is in the middle", "gss-ipsec peer add --tag %3 %1 %2", "only when you know from the other side itself that this is its key; then take out the old one with 'gss-ipsec peer remove %3 OLDKEY'") \
	X(PEER_KEY_FILE, BROKEN, "peers", "%1: its key_file cannot be taken: %2", NULL, "mend or take out 'key_file' of that [peer] entry") \
	X(PEER_IS_SELF_TOO, OK, "peers", "%1 is this side itself (identity %2), which can log in to others only", NULL, NULL) \
	X(PEER_IS_SELF, BROKEN, "peers", "the key of %1 is this side's own (identity %2)", NULL, "give each side a key of its own with 'gss-ipsec keygen', and correct the [peer] entry") \
	X(PEER_SERVICE, BROKEN, "peers", "the key of %1 may not answer for the service %2", NULL, "compare 'services' in its [peer] entry") \
	X(PEER_NOT_FOUND, BROKEN, "peers", "this host's resolver knows no address for %1", NULL, "correct the name, or enter it in the DNS or in /etc/hosts") \
	/* broker */ \
	X(BROKER_OK, OK, "broker", "gss-ipsecd answers at %1", NULL, NULL) \
	X(BROKER_ABSENT, BROKEN, "broker", "gss-ipsecd is not running: there is no socket %1", "%=2", "if it does not stay, its log says why: 'journalctl -u gss-ipsecd', or /var/log/gss-ipsecd.log") \
	X(BROKER_DEAD, BROKEN, "broker", "gss-ipsecd is not running: nobody listens at %1", "%=2", "if it does not stay, its log says why: 'journalctl -u gss-ipsecd', or /var/log/gss-ipsecd.log") \
	X(BROKER_FOLDER, BROKEN, "broker", "this user cannot get to the broker's socket %1: a folder above it is closed to others", "chmod a+x %2", NULL) \
	X(BROKER_CLOSED, BROKEN, "broker", "this user may not write to the broker's socket %1", "chmod 0666 %1", NULL) \
	X(BROKER_NO_SOCKET, BROKEN, "broker", "%1 is no socket of gss-ipsecd's: %2", NULL, "set 'broker' in [gss-ipsec] to the path that gss-ipsecd listens at") \
	X(BROKER_STRANGER, BROKEN, "broker", "who listens at %1 is neither root nor this user (uid %2), so programs do not talk to it", "kill %3 && rm -f %1", "then start gss-ipsecd") \
	X(BROKER_SILENT, BROKEN, "broker", "gss-ipsecd listens at %1 but does not answer: it hangs, or is of another version", "%=2", "if it does not stay, its log says why: 'journalctl -u gss-ipsecd', or /var/log/gss-ipsecd.log") \
	X(BROKER_REFUSES, BROKEN, "broker", "gss-ipsecd does not serve this user: its --allow-user names others", "%=1", NULL) \
	X(BROKER_NAMESPACE, BROKEN, "broker", "gss-ipsecd does not serve this network namespace", "%=1", "or start it with --namespaces; gss-ipsecd(8), CONTAINERS") \
	X(BROKER_QUOTA, BROKEN, "broker", "this user, or this host, has as many latches as gss-ipsecd allows", "%=1", "or close connections: 'gss-ipsec status' shows them, those in their closing time count for two minutes") \
	X(BROKER_NO_BPF, BROKEN, "broker", "the kernel does not take gss-ipsecd's recorder (an eBPF socket filter)", "%=1", "gss-ipsecd needs CAP_BPF, and a service manager or container that does not forbid bpf(2)") \
	X(BROKER_CAPABILITY, BROKEN, "broker", "gss-ipsecd runs without the privilege %1", "%=2", "start it as root, or by the units in packaging/") \
	/* kernel */ \
	X(NO_ESP, BROKEN, "kernel", "the kernel has no ESP%1", "modprobe -a esp4 esp6", "a kernel without CONFIG_INET_ESP needs another one") \
	X(NO_ESP_IPV6, WARNING, "kernel", "the kernel has no ESP for IPv6: only connections over IPv4 can be latched", "modprobe esp6", NULL) \
	X(NO_CIPHER, WARNING, "kernel", "the kernel refuses %1; peers that share no other ESP cipher cannot be latched with", "modprobe %2", "or leave it out of 'esp_ciphers'") \
	X(OFFLOAD, BROKEN, "kernel", "the module %1 is loaded, with which the kernel mixes packets of different peers", "modprobe -r %1 && echo %2 >>/etc/modprobe.d/gss-ipsec.conf", "gss-ipsecd --gso is for hosts whose peers all trust each other") \
	X(OFFLOAD_ALLOWED, WARNING, "kernel", "the module %1 is loaded, and gss-ipsecd runs with --gso: peers with a latch of their own can write into others'", NULL, NULL) \
	X(OFFLOAD_NONE, OK, "kernel", "neither esp4_offload nor esp6_offload is loaded", NULL, NULL) \
	X(BPF_FOR_ALL, WARNING, "kernel", "every user may load eBPF (kernel.unprivileged_bpf_disabled is 0), and so one who shares a connection may replace its recorder", "sysctl -w kernel.unprivileged_bpf_disabled=2", "doc/security.md, \"What it rests on\"") \
	X(INTERFACE_WITHOUT_POLICY, WARNING, "kernel", "%1 is on: late acknowledgements and resets of closed connections leave that interface in the clear", "echo 0 >%1", NULL) \
	X(XFRM_INTERFACE, WARNING, "kernel", "%1 is an interface of kind %2: what comes out of it passes a latched socket's policy by, and only the recorder keeps it out", NULL, "connections can be latched all the same; doc/security.md") \
	X(OTHER_DAEMON, WARNING, "kernel", "another IPsec daemon runs, %1 (process %2): when it stops it may delete all associations, which breaks every latch, and its policies may prescribe other protection", "%=3", "or let it run, and do not restart it while connections are latched") \
	/* security policy database */ \
	X(SPD_FREE, OK, "policies", "the host's own IPsec policy prescribes nothing%1", NULL, NULL) \
	X(SPD_PRESCRIBES, BROKEN, "policies", "the host's own IPsec policy (%1) prescribes how connections with %2 are protected, so none is latched", "ip xfrm policy delete %=3", "if that protection is wanted: set latch = auto for the service, or start gss-ipsecd with --override-spd") \
	X(SPD_ELSEWHERE, WARNING, "policies", "the host's own IPsec policy (%1) prescribes how such connections are protected; they are not latched", NULL, "'gss-ipsec doctor --service SERVICE@HOST' tells whether it is about that host") \
	X(SPD_OVERRIDDEN, WARNING, "policies", "the host's own IPsec policy (%1) is passed over: gss-ipsecd runs with --override-spd", NULL, NULL) \
	X(SPD_UNSEEN, UNSEEN, "policies", "only root can see the host's own IPsec policy (ip xfrm policy): run as root to know", NULL, NULL) \
	/* firewall */ \
	X(FIREWALL_FREE, OK, "firewall", "no rule of %1 drops protocol 50 or changes packet marks", NULL, NULL) \
	X(FIREWALL_NONE, UNSEEN, "firewall", "neither nft nor iptables-save is installed, so rules cannot be read", NULL, NULL) \
	X(FIREWALL_UNSEEN, UNSEEN, "firewall", "only root can see the firewall's rules: run as root to know", NULL, NULL) \
	X(FIREWALL_DROPS, BROKEN, "firewall", "a rule drops protocol 50 (ESP): %1", "%=2", NULL) \
	X(FIREWALL_POLICY, BROKEN, "firewall", "chain %1 drops what no rule accepts, and none accepts protocol 50 (ESP)", "%=2", NULL) \
	X(FIREWALL_ANSWERS, WARNING, "firewall", "chain %1 lets protocol 50 (ESP) in as an answer only: clients here can be latched, servers cannot", "%=2", NULL) \
	X(FIREWALL_MARKS, BROKEN, "firewall", "a rule changes or saves packet marks, also those by which ESP's segments are known: %1", "%=2", "marks 0x47000000/8 and 0xc7000000/8 are gss-ipsec's") \
	/* the real thing */ \
	X(TRIAL_OK, OK, "trial", "a connection within this host was latched over %1 with %2; both ends are in their closing time for two minutes", NULL, NULL) \
	X(TRIAL_NOT_MADE, UNSEEN, "trial", "not made, since gss-ipsecd does not answer", NULL, NULL) \
	X(TRIAL_NO_CONNECTION, BROKEN, "trial", "this host cannot connect to itself over 127.0.0.1", "ip link set lo up", "or a rule of the firewall drops what this host sends to itself") \
	X(TRIAL_LOST, BROKEN, "trial", "ESP that this host sends to itself does not arrive: a firewall drops protocol 50", NULL, "run as root, the doctor shows the rule") \
	X(TRIAL_MARKS, BROKEN, "trial", "ESP arrives without its mark: a firewall's rule changes packet marks", NULL, "run as root, the doctor shows the rule") \
	X(TRIAL_PRESCRIBED, BROKEN, "trial", "the host's own IPsec policy prescribes how connections within this host are protected", NULL, "look at 'ip xfrm policy', or start gss-ipsecd with --override-spd") \
	X(TRIAL_FAILED, BROKEN, "trial", "a connection within this host cannot be latched over %1: %2", NULL, "gss-ipsecd's log says more")
/* clang-format on */

#endif
