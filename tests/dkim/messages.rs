//! Messages in wire form that verifiers have disagreed on.

/// A name for failures, and the message.
pub(crate) const MESSAGES: &[(&str, &[u8])] = &[
    ("plain", b"From: A <a@example.org>\r\nTo: b@example.net\r\nSubject: s\r\nDate: Sun, 22 Nov 2026 14:43:49 +0000\r\n\
        Message-ID: <1@example.org>\r\n\r\nHello.\r\n"),
    ("an empty body", b"From: a@example.org\r\nTo: b@example.net\r\n\r\n"),
    ("a body of empty lines", b"From: a@example.org\r\n\r\n\r\n\r\n\r\n"),
    ("empty lines at the end", b"From: a@example.org\r\n\r\ntext\r\n\r\n\r\n"),
    ("blanks in and after lines", b"From: a@example.org\r\n\r\n  two \t  blanks\t \r\n\ttab\r\n \r\nend \r\n"),
    ("folds, blanks and case in fields", b"FROM: a@example.org\r\nSubject:\r\n\tfolded\r\n \t twice  and\t blanks \r\n\
        to:b@example.net\r\nCC:  \r\nMime-VERSION: 1.0\r\nContent-Type: text/plain;\r\n\tcharset=utf-8\r\n\r\nx\r\n"),
    ("several instances", b"From: a@example.org\r\nTo: one@example.net\r\nReferences: <1@x>\r\nTo: two@example.net\r\n\
        Subject: first\r\nSubject: second\r\nReferences: <2@x>\r\n\r\nx\r\n"),
    ("bytes beyond ASCII", b"From: \xc3\xa4 <a@example.org>\r\nSubject: \xc3\xa4\xe2\x82\xac \xfc\r\n\r\n\xc3\xa4 \xfc\xff\r\n"),
    ("dots and From_ in the body", b"From: a@example.org\r\n\r\n.\r\n..\r\nFrom x\r\n. dot\r\n"),
    ("list and resent fields", b"Resent-From: r@example.net\r\nResent-To: s@example.net\r\nResent-Date: Sun, 22 Nov 2026 14:43:49 +0000\r\n\
        From: a@example.org\r\nSender: a@example.org\r\nIn-Reply-To: <0@x>\r\nReferences: <0@x>\r\n\tt\r\nReply-To: c@example.org\r\n\
        List-Id: L <l.example.org>\r\nList-Unsubscribe: <https://example.org/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\
        List-Help: <https://example.org/h>\r\nList-Post: NO\r\nList-Archive: <https://example.org/a>\r\nList-Owner: <mailto:o@example.org>\r\n\
        List-Subscribe: <mailto:s@example.org>\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx\r\n"),
    ("Received and X fields", b"Received: by h.example.org (mailchute, from userid 0)\r\n\tid 6921CE05000000AB; Sun, 22 Nov 2026 14:43:49 +0000\r\n\
        X-Mailer: x\r\nFrom: a@example.org\r\nReturn-Path: <x@y>\r\n\r\nx\r\n"),
];

/// Bodies whose last lines hold nothing but blanks: empty lines in relaxed form.
pub(crate) const BLANK_TAILS: &[(&str, &[u8])] = &[
    ("lines of blanks at the end", b"From: a@example.org\r\n\r\nhi\r\n  \r\n\t\r\n"),
    ("lines of blanks only", b"From: a@example.org\r\n\r\n \r\n\t\r\n"),
];

/// A long one: many fields, a body of 200 KiB with long and short lines.
pub(crate) fn large() -> Vec<u8> {
    let mut message = b"From: a@example.org\r\nSubject: ".to_vec();
    message.extend(std::iter::repeat_n(b"word \r\n\t".as_slice(), 500).flatten());
    message.extend_from_slice(b"end\r\n\r\n");
    for line in 0..400 {
        message.extend(std::iter::repeat_n(b'x', line * 7 % 997));
        message.extend_from_slice(if line % 3 == 0 { b" \t \r\n" } else { b"\r\n" });
    }
    message
}
