//! Text of a page's bytes, as browsers find the encoding: mark, header, `<meta>`, and what the bytes look like.
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252, X_USER_DEFINED};

/// How far into the page a `<meta>` may stand.
const PRESCAN: usize = 1024;

/// A page as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The text, without a byte order mark.
    pub text: String,
    /// The encoding's name.
    pub encoding: &'static str,
    /// How many places were no text in that encoding; U+FFFD stands there.
    pub invalid: usize,
}

/// Makes text of a page's bytes. A byte order mark wins over the charset of `content_type`, that over a `<meta>` in the
/// first 1024 bytes; without any, bytes that are valid UTF-8 are that, and others windows-1252, as browsers assume.
#[must_use]
pub fn decode(bytes: &[u8], content_type: Option<&str>) -> Decoded {
    let (encoding, mark) = match Encoding::for_bom(bytes) {
        Some((encoding, length)) => (encoding, length),
        None => (declared(bytes, content_type).unwrap_or_else(|| guessed(bytes)), 0),
    };
    let (text, has_errors) = encoding.decode_without_bom_handling(bytes.get(mark..).unwrap_or_default());
    let invalid = if has_errors { text.matches(char::REPLACEMENT_CHARACTER).count() } else { 0 };
    Decoded { text: text.into_owned(), encoding: encoding.name(), invalid }
}

fn declared(bytes: &[u8], content_type: Option<&str>) -> Option<&'static Encoding> {
    let header = content_type.and_then(|text| charset(text.as_bytes())).and_then(Encoding::for_label);
    header.or_else(|| prescan(bytes.get(..PRESCAN).unwrap_or(bytes)))
}

fn guessed(bytes: &[u8]) -> &'static Encoding {
    if std::str::from_utf8(bytes).is_ok() { UTF_8 } else { WINDOWS_1252 }
}

/// The label after `charset=`, in quotes or not.
fn charset(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    loop {
        let at = rest.windows(7).position(|word| word.eq_ignore_ascii_case(b"charset"))?;
        rest = rest.get(at + 7..)?.trim_ascii_start();
        let Some(value) = rest.strip_prefix(b"=") else { continue };
        let value = value.trim_ascii_start();
        return match value.first()? {
            quote @ (b'"' | b'\'') => {
                let value = value.get(1..)?;
                value.get(..value.iter().position(|byte| byte == quote)?)
            }
            _ => value.split(|byte| byte.is_ascii_whitespace() || *byte == b';').next(),
        };
    }
}

/// The standard's look for a `<meta>` (HTML 13.2.3.2), which knows comments and the tags around.
fn prescan(bytes: &[u8]) -> Option<&'static Encoding> {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some(comment) = rest.strip_prefix(b"<!--") {
            // The two dashes may be those that begin it: `<!-->` is a whole comment.
            let end = rest.get(2..).unwrap_or(comment).windows(3).position(|end| end == b"-->")?;
            at += end + 5;
            continue;
        }
        let is_tag = |name: &[u8]| name.first().is_some_and(u8::is_ascii_alphabetic);
        match rest {
            [b'<', b'/', name @ ..] | [b'<', name @ ..] if is_tag(name) => {
                let mut tag = Tag { bytes, at: bytes.len() - name.len() };
                let name = tag.name();
                let found = tag.encoding();
                if name.eq_ignore_ascii_case(b"meta") && rest.get(1) != Some(&b'/') && found.is_some() {
                    return found;
                }
                at = tag.at;
            }
            [b'<', b'!' | b'/' | b'?', ..] => at += rest.iter().position(|byte| *byte == b'>')?,
            _ => at += 1,
        }
    }
    None
}

/// A tag that is read attribute by attribute.
struct Tag<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Tag<'a> {
    fn take(&mut self, take: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| !take(*byte)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn name(&mut self) -> &'a [u8] {
        self.take(|byte| !byte.is_ascii_whitespace() && byte != b'>' && byte != b'/')
    }

    /// The next attribute, its name in lower case; `None` at the tag's end.
    fn attribute(&mut self) -> Option<(Vec<u8>, &'a [u8])> {
        self.take(|byte| byte.is_ascii_whitespace() || byte == b'/');
        match self.bytes.get(self.at) {
            None | Some(b'>') => return None,
            Some(_) => {}
        }
        let start = self.at;
        self.at += 1;
        self.take(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b'=' | b'>' | b'/'));
        let name = self.bytes.get(start..self.at)?.to_ascii_lowercase();
        self.take(|byte| byte.is_ascii_whitespace());
        if self.bytes.get(self.at) != Some(&b'=') {
            return Some((name, b""));
        }
        self.at += 1;
        self.take(|byte| byte.is_ascii_whitespace());
        let value = match self.bytes.get(self.at) {
            Some(quote @ (b'"' | b'\'')) => {
                self.at += 1;
                let value = self.take(|byte| byte != *quote);
                self.at += 1;
                value
            }
            _ => self.take(|byte| !byte.is_ascii_whitespace() && byte != b'>'),
        };
        Some((name, value))
    }

    /// What a `<meta>` declares: `charset`, or `http-equiv` with `content`.
    fn encoding(&mut self) -> Option<&'static Encoding> {
        let (mut own, mut content, mut is_content_type) = (None, None, false);
        while let Some((name, value)) = self.attribute() {
            match name.as_slice() {
                b"charset" => own = own.or_else(|| Encoding::for_label(value)),
                b"content" => content = content.or_else(|| charset(value).and_then(Encoding::for_label)),
                b"http-equiv" => is_content_type |= value.eq_ignore_ascii_case(b"content-type"),
                _ => {}
            }
        }
        let encoding = own.or_else(|| content.filter(|_| is_content_type))?;
        // A page that could be read this far is not UTF-16; by the standard.
        Some(match encoding {
            encoding if encoding.name().starts_with("UTF-16") => UTF_8,
            encoding if encoding == X_USER_DEFINED => WINDOWS_1252,
            encoding => encoding,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], content_type: Option<&str>) -> (String, &'static str, usize) {
        let decoded = decode(bytes, content_type);
        (decoded.text, decoded.encoding, decoded.invalid)
    }

    #[test]
    fn the_first_that_tells_wins() {
        let is = |text: &str, encoding| (text.to_owned(), encoding, 0);
        assert_eq!(text(b"\xef\xbb\xbf\xc3\xa9", Some("text/html; charset=koi8-r")), is("é", "UTF-8"));
        assert_eq!(text(b"\xff\xfee\x00", None), is("e", "UTF-16LE"));
        assert_eq!(text(b"\xd4\xc1", Some("text/html; Charset=\"KOI8-R\"; x=y")), is("та", "KOI8-R"));
        let meta = b"<meta charset=shift_jis>\x93\xfa";
        assert_eq!(text(meta, None), is("<meta charset=shift_jis>日", "Shift_JIS"));
        assert_eq!(text(meta, Some("text/html;charset=gbk")).1, "GBK");
        assert_eq!(text(b"\xe9t\xe9,\x80", Some("text/html")), is("été,€", "windows-1252"));
        assert_eq!(text("été".as_bytes(), None), is("été", "UTF-8"));
        assert_eq!(text(b"\xe9", Some("text/html; charset=nonsense")).1, "windows-1252");
        assert_eq!(text(b"", None), is("", "UTF-8"));
    }

    #[test]
    fn what_is_no_text_is_counted() {
        assert_eq!(
            text(b"a\xffb\xc3", Some("text/html; charset=utf-8")),
            ("a\u{fffd}b\u{fffd}".to_owned(), "UTF-8", 2)
        );
        assert_eq!(text("a\u{fffd}".as_bytes(), None).2, 0);
    }

    #[test]
    fn metas_are_found_as_the_standard_says() {
        let pages: [(&str, Option<&str>); 13] = [
            ("<!doctype html><html><head><meta charset=utf-8>", Some("UTF-8")),
            ("<META http-equiv=Content-Type content='text/html; charset=iso-8859-2'>", Some("ISO-8859-2")),
            ("<meta content='text/html; charset=iso-8859-2'>", None),
            ("<!-- <meta charset=gbk> --><meta charset=big5>", Some("Big5")),
            ("<!--><meta charset=gbk>", Some("GBK")),
            ("<!-- <meta charset=gbk>", None),
            ("<title a='<meta charset=gbk>'><meta charset=big5>", Some("Big5")),
            ("</meta charset=gbk><meta charset=big5>", Some("Big5")),
            ("<meta charset=utf-16le>", Some("UTF-8")),
            ("<meta charset=x-user-defined>", Some("windows-1252")),
            ("<metacharset=gbk>", None),
            ("<meta charset='gbk'", Some("GBK")),
            ("<?xml <meta charset=gbk>?><meta name=a charset = big5 />", Some("Big5")),
        ];
        for (page, name) in pages {
            assert_eq!(prescan(page.as_bytes()).map(Encoding::name), name, "{page}");
        }
        let late = format!("{}<meta charset=gbk>\u{e9}", " ".repeat(1024));
        assert_eq!(text(late.as_bytes(), None).1, "UTF-8");
        for n in 0..40 {
            prescan(&b"<meta http-equiv=content-type content='charset=gbk'>"[..n]);
        }
    }
}
