//! An HTML writer that always escapes. Pure.
//!
//! In: markup of this program, and untrusted text. Out: a document with the text escaped. The types separate the two: markup is
//! `&'static str`, and no input has that type.

use std::borrow::Cow;
use std::fmt::Display;

use mail::printable;

/// Maximum characters of one text.
const LONGEST: usize = 600;

/// An HTML document.
#[derive(Debug, Default)]
pub(super) struct Html {
    out: String,
}

impl Html {
    /// Appends markup of this program.
    pub(crate) fn raw(&mut self, markup: &'static str) -> &mut Html {
        self.out.push_str(markup);
        self
    }

    /// Appends untrusted text in an element or a quoted attribute: printable, escaped, and truncated.
    pub(crate) fn text(&mut self, text: impl Display) -> &mut Html {
        let text = text.to_string();
        let cut: Cow<'_, str> = match text.char_indices().nth(LONGEST) {
            Some((end, _)) => Cow::Owned(format!("{} …", text.get(..end).unwrap_or_default())),
            None => Cow::Borrowed(&text),
        };
        for c in printable::safe(&cut).chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '"' => self.out.push_str("&quot;"),
                '\'' => self.out.push_str("&#39;"),
                c => self.out.push(c),
            }
        }
        self
    }

    /// The same, isolated, so that right-to-left text does not reorder its neighbours.
    pub(crate) fn foreign(&mut self, text: impl Display) -> &mut Html {
        self.raw("<bdi>").text(text).raw("</bdi>")
    }

    /// The document.
    pub(crate) fn finish(self) -> String {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> String {
        let mut html = Html::default();
        html.text(text);
        html.finish()
    }

    #[test]
    fn t_out_2_no_text_ends_an_element_or_an_attribute() {
        assert_eq!(text("</svg><script>\"'&amp;"), "&lt;/svg&gt;&lt;script&gt;&quot;&#39;&amp;amp;");
        assert_eq!(text("a\x1b[2J\u{202e}\0\n"), "a\\x1b[2J\\u{202e}\\x00\\x0a");
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_before_it_is_escaped() {
        let long = text(&"é<".repeat(LONGEST));
        assert!(long.ends_with("é&lt; …"), "{long}");
        assert_eq!(text(&"é".repeat(LONGEST)), "é".repeat(LONGEST));
    }
}
