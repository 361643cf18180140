//! Reading what arrived: a message split into fields and body, by the plainest means.

/// A message as a test looks at it. Line ends are LF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Name and unfolded-as-is value of each field, in order.
    pub fields: Vec<(String, String)>,
    pub body: String,
}

impl Message {
    /// Splits `bytes`, with CRLF or LF.
    pub(crate) fn parse(bytes: &[u8]) -> Message {
        let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
        let (header, body) = text.split_once("\n\n").unwrap_or((text.strip_suffix('\n').unwrap_or(&text), ""));
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in header.split('\n') {
            match fields.last_mut() {
                Some((_, value)) if line.starts_with([' ', '\t']) => {
                    value.push('\n');
                    value.push_str(line);
                }
                _ => {
                    let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("`{line}` is no header field in:\n{text}"));
                    fields.push((name.to_owned(), value.strip_prefix(' ').unwrap_or(value).to_owned()));
                }
            }
        }
        Message { fields, body: body.to_owned() }
    }

    /// The value of the only field `name`.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name} in {:?}", self.fields);
        all[0]
    }

    /// The values of all fields `name`, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// The message without what transport added on top: everything above and including the last trace field or signature.
    pub(crate) fn without_trace(&self) -> Message {
        const TRACE: &[&str] = &["Return-Path", "Delivered-To", "X-Original-To", "Received", "DKIM-Signature"];
        let own = |(name, _): &&(String, String)| TRACE.iter().any(|trace| trace.eq_ignore_ascii_case(name));
        let top = self.fields.iter().take_while(own).count();
        Message { fields: self.fields[top..].to_vec(), body: self.body.clone() }
    }
}

#[test]
fn a_message_is_split_into_fields_and_body() {
    let message = Message::parse(b"Received: by a\r\n\tid 1\r\nTo: a@b.example\r\n\r\nHello\r\n\r\nworld\r\n");
    assert_eq!(message.field("received"), "by a\n\tid 1");
    assert_eq!(message.body, "Hello\n\nworld\n");
    assert_eq!(message.without_trace().fields, [("To".to_owned(), "a@b.example".to_owned())]);
}
