#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""doc/ipsec.conf.5 from doc/configuration.md, so that the two cannot differ:

    doc/make_man.py < doc/configuration.md > doc/ipsec.conf.5
"""
import re
import sys

HEAD = r'''.\" SPDX-License-Identifier: BSD-2-Clause
.\" Made by doc/make_man.py from doc/configuration.md: change that.
.TH IPSEC.CONF 5 "" "gss-ipsec" "File Formats"
.SH NAME
ipsec.conf \- configuration of the gss-ipsec mechanism
.SH SYNOPSIS
.I ~/.config/gss-ipsec/ipsec.conf
.br
.I /etc/gss/ipsec.conf
.SH DESCRIPTION'''
TAIL = r'''.SH SEE ALSO
.BR gss-ipsec (1),
.BR gss-ipsecd (8)'''


def escaped(text):
    """Ordinary characters for troff; the text may begin with a control character."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("~", r"\(ti")
    text = text.replace("^", r"\(ha").replace("'", r"\(aq")
    return r"\&" + text if text[:1] in (".", r"\(aq") else text


def marked(text):
    """`code` and **bold** in bold letters, *words* in italics, [text](link) as its text."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text.replace("doc/configuration.md", "ipsec.conf(5)"))
    parts = re.split(r"`([^`]*)`|\*\*([^*]*)\*\*|\*([^* ][^*]*)\*", text)
    out = ""
    for index in range(0, len(parts), 4):
        out += escaped(parts[index])
        for font, words in zip("BBI", parts[index + 1:index + 4]):
            if words is not None:
                out += rf"\f{font}" + escaped(words) + r"\fR"
    return out


def row_lines(cells):
    """A key, its value, and its default if that is told."""
    lines = [".TP", marked(cells[0]), marked(cells[1]) or r"\&"]
    if len(cells) > 2 and cells[2]:
        lines.append(f"(default: {marked(cells[2])})")
    return lines


def table_lines(rows):
    cells = [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in rows]
    return [line for row in cells[2:] for line in row_lines(row)]


def block_lines(block):
    """One block of Markdown: what stands between two empty lines."""
    first = block[0]
    if first.startswith("#"):
        return [] if first.startswith("# ") else [".SH " + escaped(first.lstrip("# ").upper())]
    if first.startswith("    "):
        return [".PP", ".RS 4", ".nf"] + [escaped(line[4:].expandtabs(4)) for line in block] + [".fi", ".RE"]
    if first.startswith("|"):
        return table_lines(block)
    if re.match(r"(\d+\.|-) ", first):
        items = re.split(r"\n(?=\d+\. |- )", "\n".join(block))
        marks = [re.match(r"\d+\.|-", item).group() for item in items]
        return [line for mark, item in zip(marks, items) for line in
                (r".IP \(bu 2" if mark == "-" else f".IP {mark} 3", marked(" ".join(re.sub(r"^(\d+\.|-) ", "", item).split())))]
    return [".PP", marked(" ".join(line.strip() for line in block))]


def main():
    blocks = [block.split("\n") for block in re.split(r"\n{2,}", sys.stdin.read().strip())]
    lines = [HEAD]
    for index, block in enumerate(blocks):
        made = block_lines(block)
        lines += made[1:] if index == 1 and made[:1] == [".PP"] else made
    lines.append(TAIL)
    print("\n".join(lines))


main()
