/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys and hashed names for test_ssh_key.c, made for it by ssh-keygen 9.2p1; nobody uses them. */
#ifndef TESTS_UNIT_SSH_VECTORS_H
#define TESTS_UNIT_SSH_VECTORS_H

/* clang-format off */
static const struct {
	const char *public_file, *private_file;
} ssh_pairs[] = {
	{ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAqPnymdiIca9o26A8fcCUzbyCCVU5CpDjv2rgWn1OB9 a comment\n",
		"-----BEGIN OPENSSH PRIVATE KEY-----\n"
		"b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
		"QyNTUxOQAAACAKj58pnYiHGvaNugPH3AlM28gglVOQqQ479q4Fp9TgfQAAAJBsJ/g+bCf4\n"
		"PgAAAAtzc2gtZWQyNTUxOQAAACAKj58pnYiHGvaNugPH3AlM28gglVOQqQ479q4Fp9TgfQ\n"
		"AAAEDPn/wASlSWAI3QS2IGO5C8xZBBi5vG6I7KZqgBklaG4QqPnymdiIca9o26A8fcCUzb\n"
		"yCCVU5CpDjv2rgWn1OB9AAAACWEgY29tbWVudAECAwQ=\n"
		"-----END OPENSSH PRIVATE KEY-----\n" },
	{ "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJpA5KnffkufBQeRCqMNEumg1lmPVvXeSjmhg2AuQnKvPPs/pQGtWEbzZm0LL7e4/ka65Kr0KCteSY0KpURQlfY= a comment\n",
		"-----BEGIN OPENSSH PRIVATE KEY-----\n"
		"b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS\n"
		"1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQSaQOSp335LnwUHkQqjDRLpoNZZj1b1\n"
		"3ko5oYNgLkJyrzz7P6UBrVhG82ZtCy+3uP5GuuSq9CgrXkmNCqVEUJX2AAAAqLG+ICKxvi\n"
		"AiAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJpA5KnffkufBQeR\n"
		"CqMNEumg1lmPVvXeSjmhg2AuQnKvPPs/pQGtWEbzZm0LL7e4/ka65Kr0KCteSY0KpURQlf\n"
		"YAAAAgHl8S30XYuTq1SyW0vvzvtESBdIitYa+wSrDA8VKySMoAAAAJYSBjb21tZW50AQID\n"
		"BAUGBw==\n"
		"-----END OPENSSH PRIVATE KEY-----\n" },
	{ "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBCxo5a/smVSAXSlxrPQdMpM/Qva5zUvDMXUMKiNvB2s9YM96kMU4Fkogg3F431osSfdmstThNvKS6QjhgfMY8i7QZdsQy8f5qMyqflozG/aXkfmGF9ebQEhFw2riAM20Ww== \n",
		"-----BEGIN OPENSSH PRIVATE KEY-----\n"
		"b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAiAAAABNlY2RzYS\n"
		"1zaGEyLW5pc3RwMzg0AAAACG5pc3RwMzg0AAAAYQQsaOWv7JlUgF0pcaz0HTKTP0L2uc1L\n"
		"wzF1DCojbwdrPWDPepDFOBZKIINxeN9aLEn3ZrLU4TbykukI4YHzGPIu0GXbEMvH+ajMqn\n"
		"5aMxv2l5H5hhfXm0BIRcNq4gDNtFsAAADQpFeqeqRXqnoAAAATZWNkc2Etc2hhMi1uaXN0\n"
		"cDM4NAAAAAhuaXN0cDM4NAAAAGEELGjlr+yZVIBdKXGs9B0ykz9C9rnNS8MxdQwqI28Haz\n"
		"1gz3qQxTgWSiCDcXjfWixJ92ay1OE28pLpCOGB8xjyLtBl2xDLx/mozKp+WjMb9peR+YYX\n"
		"15tASEXDauIAzbRbAAAAMQCB0EE4TBjWjUVBmIqUQi4OOGsDCjqyEEesGXrlNGPCA3WJlj\n"
		"UsBCZLT91Iybx2rgwAAAAAAQIDBAUGBw==\n"
		"-----END OPENSSH PRIVATE KEY-----\n" },
};
#define SSH_PAIR_COUNT 3
static const char ssh_rsa_public[] =
	"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC6UQFpvXVdPuyE1g5G2ZOS+T9YY2PhWOYz3l2VnE0Z4GlIsbLP6Ay3U8eLgPIzB/HbbqVmnfHKbFxLEhG+4AE4U6c7ftOghlir0NrBHLDju+FSBkoKf2ln4wXR6+K6G8+YMZqT+lEBrKUbnwaK1UZP2crxo55Ya3Jj3KrZO1OVy41jPCJVRxGRB3RdPiMXescIlLhSZtVEiYlucdOT53W+xBxQZkVB/AU0vjNL0aYN8ZFLrsFW8d7MkvoFglgPzxrw5SzzvvlBYMhnMdU7Tn8SJGAdcM1r6OEtJSk0uWsXX6q7SUycQy2TRSxd+aIwNK+/i+ofeJCLbT2Jlgo6WH2x\n";
static const char ssh_p521_public[] =
	"ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAFDstnptYVHsdKRkSzqWnc9mASj21M3Jc2RGfnjrz1xRdGR0rDMyTbLHvC3LofnT5d0SzFeFIjP0bi2xo588j59xgGqbz8R2MyIsgAVffAzZB8FLFg5vd2twPpGfg4i35chn5Ry4ZHaUG+ri5J/r5TrkWgPdixk1TlF55/9S07mTlMt0g==\n";
static const char ssh_locked_private[] =
	"-----BEGIN OPENSSH PRIVATE KEY-----\n"
		"b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABBxNQWNDM\n"
		"gKrb/5UW/A+IcKAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIHgDiAbkPvdnT9CU\n"
		"LSWRnlF4syKc+dT4rYP5gL2+llsKAAAAkNYzKP04tCiqwVHBM4KxHKapfNrdn9QybSesD4\n"
		"AT1J7CLyU3Bvz9OkWrzMC7PyWE3kKrKm98oVz+fkcIqeiltZEoeqOvVic9hsARjb4MG4oH\n"
		"EFNiGReCafAvvy9K2hcCRLkD0Rz4r0JUqhY/0lCB0+wBbaeNARakTjxaZwDxrCXYNyTHhf\n"
		"oBgaE17naWkiPngQ==\n"
		"-----END OPENSSH PRIVATE KEY-----\n";
/* clang-format on */

#define SSH_HASHED_HOST "www.example.org"
#define SSH_HASHED_NAME "|1|AJ9S0gKZiJJckj9YJriOxxcQxMo=|SYFa4KJx2AQvfmVdGh1ITSUSwxk="
#define SSH_HASHED_PORT_NAME "|1|SWq8aozOw0kqC+OwhA+1B07GdpQ=|yPFdXg/FWVojZvzDKonzFRYDxYs="

#endif
