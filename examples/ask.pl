#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# A client in Perl (Debian's libgssapi-perl) for the server "ask.py serve":
#
#     ask.pl HOST PORT SERVICE TEXT
#
# TEXT goes plain (only IPsec protects it), sealed, signed, and sealed once more.  Exit status 1,
# and the library's own text, when something was refused.  The module frees OIDs that the library
# gives it, also the library's own: hence undef where a mechanism would come back.
use strict;
use warnings;
use GSSAPI;
use IO::Socket::INET;

my $ARC = '1 2 840 113556 1 8000 2554 31079 55960 30804 18932 37582 1664278 1045436';

sub check {
	my ($status, $what) = @_;
	return if $status;
	die "ask.pl: $what: ", join(': ', $status->generic_message, $status->specific_message), "\n";
}

sub send_message {
	my ($socket, $octets) = @_;
	print {$socket} pack('N/a*', $octets) or die "ask.pl: cannot send: $!\n";
}

sub receive_exactly {
	my ($socket, $length) = @_;
	my $octets = '';
	while (length $octets < $length) {
		$socket->read($octets, $length - length $octets, length $octets)
			or die "ask.pl: the other side has closed the connection\n";
	}
	return $octets;
}

sub receive_message {
	my ($socket) = @_;
	return receive_exactly($socket, unpack 'N', receive_exactly($socket, 4));
}

# Tokens to and fro.  One that tells the other side what went wrong goes before this one gives up.
sub login {
	my ($socket, $target) = @_;
	my ($context, $in, $status) = (undef, '');

	check(GSSAPI::OID->from_str(my $mech, "{ $ARC 1 }"), 'the OID');
	while (1) {
		$status = GSSAPI::Context::init($context, GSS_C_NO_CREDENTIAL, $target, $mech,
			GSS_C_MUTUAL_FLAG, 0, GSS_C_NO_CHANNEL_BINDINGS, $in, undef, my $out,
			my $flags, my $time);
		send_message($socket, $out) if defined $out && length $out;
		check($status, 'refused');
		return $context unless $status->major & GSS_S_CONTINUE_NEEDED;
		$in = receive_message($socket);
	}
}

sub ask_sealed {
	my ($socket, $context, $text) = @_;
	check($context->wrap(1, GSS_C_QOP_DEFAULT, $text, my $is_sealed, my $token), 'wrap');
	send_message($socket, $token);
	check($context->unwrap(receive_message($socket), my $answer, my $was_sealed, my $qop),
		'unwrap');
	return $answer;
}

sub ask_signed {
	my ($socket, $context, $text) = @_;
	check($context->get_mic(GSS_C_QOP_DEFAULT, $text, my $signature), 'get_mic');
	send_message($socket, $text);
	send_message($socket, $signature);
	my $answer = receive_message($socket);
	check($context->verify_mic($answer, receive_message($socket), my $qop), 'verify_mic');
	return $answer;
}

die "usage: ask.pl HOST PORT SERVICE TEXT\n" unless @ARGV == 4;
my ($host, $port, $service, $text) = @ARGV;
my $socket = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Timeout => 20)
	or die "ask.pl: no connection to $host: $@\n";
$socket->autoflush(1);
check(GSSAPI::Name->import(my $target, "$service\@$host", GSSAPI::OID::gss_nt_hostbased_service),
	'the name');
my $context = login($socket, $target);
check($context->inquire(my $own, my $peer, my $time, undef, my $flags, my $is_local, my $is_open),
	'inquire');
check($own->display(my $own_text), 'display');
check($peer->display(my $peer_text), 'display');
print "connected $own_text to $peer_text\n";
send_message($socket, $text);
print 'plain: ', receive_message($socket), "\n";
print 'sealed: ', ask_sealed($socket, $context, $text), "\n";
print 'signed: ', ask_signed($socket, $context, $text), "\n";
print 'again: ', ask_sealed($socket, $context, $text), "\n";
