/* SPDX-License-Identifier: BSD-2-Clause */
/* The hosting program as an ordinary one, linked with libgssapi. */
int hosting_main(int argc, char **argv);

int main(int argc, char **argv)
{
	return hosting_main(argc, argv);
}
