//! A page into a tree: what is plain goes straight to html5ever's tree builder, all else through its tokenizer.
//!
//! Most of a page is tags like `<td>` and `<a href="/x">` and text without references. html5ever's tokenizer takes them
//! character by character, which is most of the work of parsing a page. They are read here in one go, and the tokens
//! are the ones that the tokenizer would have made. Wherever there is the least doubt (comments, scripts, references,
//! `<br/ >`) the tokenizer reads on, until it has given a whole tag and is certain to be back in its data state.
use std::cell::{Cell, Ref};

use html5ever::{
    Attribute, LocalName, QualName, TokenizerResult, ns,
    tendril::StrTendril,
    tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts},
    tree_builder::{TreeBuilder, TreeBuilderOpts, TreeSink},
};
use memchr::{memchr, memchr3};

use super::{Builder, Tree};

/// The most bytes that the tokenizer gets at once.
const STRIDE: usize = 2048;
/// The most attributes of a plain tag: each is compared with those before it.
const MOST_ATTRIBUTES: usize = 16;
/// Elements whose content is no markup: the tokenizer has to know that it is in one (HTML standard, 13.2.6.4).
const RAW: [&[u8]; 10] =
    [b"iframe", b"noembed", b"noframes", b"noscript", b"plaintext", b"script", b"style", b"textarea", b"title", b"xmp"];

/// A parser of one page.
pub(in super::super) struct Parser<'p> {
    page: &'p [u8],
    /// The page again, for tokens that share its bytes.
    shared: StrTendril,
    /// So many bytes are parsed.
    at: usize,
    /// Whether the tokenizer is in its data state, with nothing begun.
    idle: bool,
    tokenizer: Tokenizer<Watch>,
    queue: BufferQueue,
}

impl<'p> Parser<'p> {
    /// A parser that has room for so many nodes.
    pub(in super::super) fn new(page: &'p str, nodes: usize) -> Self {
        // What stands in `<noscript>` is what a reader without scripts sees.
        let options = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
        let watch = Watch { builder: TreeBuilder::new(Builder::new(nodes), options), tag: Cell::new(false) };
        Self {
            page: page.as_bytes(),
            shared: StrTendril::from_slice(page),
            at: 0,
            idle: false,
            tokenizer: Tokenizer::new(watch, TokenizerOpts::default()),
            queue: BufferQueue::default(),
        }
    }

    /// Parses some bytes more: how many are parsed in all, and whether there are more.
    pub(in super::super) fn step(&mut self) -> (usize, bool) {
        let until = self.page.len().min(self.at + STRIDE);
        while self.at < until {
            if !(self.idle && self.plain()) {
                self.tokenize();
            }
        }
        (self.at, self.at < self.page.len())
    }

    /// The tree as far as it has grown.
    pub(in super::super) fn tree(&self) -> Ref<'_, Tree> {
        self.tokenizer.sink.builder.sink.tree()
    }

    /// The whole tree.
    pub(in super::super) fn finish(mut self) -> Tree {
        while self.step().1 {}
        self.tokenizer.end();
        self.tokenizer.sink.builder.sink.finish()
    }

    /// Gives the text or tag here to the builder, if it is plain.
    fn plain(&mut self) -> bool {
        let rest = &self.page[self.at..];
        if rest.first() != Some(&b'<') {
            let text = &rest[..memchr(b'<', rest).unwrap_or(rest.len())];
            let text = &text[..memchr3(b'&', b'\r', b'\0', text).unwrap_or(text.len())];
            if !text.is_empty() {
                self.give(Token::CharacterTokens(self.part(self.at, text.len())));
                self.at += text.len();
            }
            return !text.is_empty();
        }
        let Some((tag, end)) = self.tag() else { return false };
        self.give(Token::TagToken(tag));
        self.at = end;
        true
    }

    fn give(&self, token: Token) {
        let given = self.tokenizer.sink.process_token(token, 1);
        debug_assert!(matches!(given, TokenSinkResult::Continue | TokenSinkResult::EncodingIndicator(_)));
    }

    /// Lets the tokenizer read to the next `>`: only there does a tag end.
    fn tokenize(&mut self) {
        let window = &self.page[self.at..self.page.len().min(self.at + STRIDE)];
        let mut end = self.at + memchr(b'>', window).map_or(window.len(), |place| place + 1);
        while !is_boundary(self.page, end) {
            end += 1;
        }
        self.queue.push_back(self.part(self.at, end - self.at));
        self.at = end;
        self.tokenizer.sink.tag.set(false);
        while !matches!(self.tokenizer.feed(&self.queue), TokenizerResult::Done) {}
        self.idle = self.tokenizer.sink.tag.get();
    }

    /// Bytes of the page as text of their own.
    fn part(&self, at: usize, length: usize) -> StrTendril {
        let (at, length) = (u32::try_from(at).unwrap_or_default(), u32::try_from(length).unwrap_or_default());
        self.shared.subtendril(at, length)
    }

    /// The tag that begins here and where it ends, if it is a plain one.
    fn tag(&self) -> Option<(Tag, usize)> {
        let is_end = self.page.get(self.at + 1) == Some(&b'/');
        let start = self.at + 1 + usize::from(is_end);
        let mut at = self.run(start, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let name = &self.page[start..at];
        if !name.first()?.is_ascii_lowercase() || RAW.contains(&name) {
            return None;
        }
        let mut tag = Tag {
            kind: if is_end { TagKind::EndTag } else { TagKind::StartTag },
            name: local(name)?,
            self_closing: false,
            attrs: Vec::new(),
            had_duplicate_attributes: false,
        };
        loop {
            let next = self.run(at, is_blank);
            match self.page.get(next)? {
                b'>' => return Some((tag, next + 1)),
                b'/' if !is_end && self.page.get(next + 1) == Some(&b'>') => {
                    tag.self_closing = true;
                    return Some((tag, next + 2));
                }
                _ if next == at || is_end || tag.attrs.len() == MOST_ATTRIBUTES => return None,
                _ => at = self.attribute(next, &mut tag.attrs)?,
            }
        }
    }

    /// Reads `name="value"` or `name`; gives where it ends.
    fn attribute(&self, start: usize, known: &mut Vec<Attribute>) -> Option<usize> {
        let end = self.run(start, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_:".contains(&byte));
        let name = local(&self.page[start..end])?;
        if end == start || known.iter().any(|attribute| attribute.name.local == name) {
            return None;
        }
        let mut push = |value| known.push(Attribute { name: QualName::new(None, ns!(), name.clone()), value });
        if self.page.get(end) != Some(&b'=') {
            // After blanks a `=` may still follow.
            let next = self.run(end, is_blank);
            let ends = match self.page.get(next)? {
                b'>' => true,
                b'=' => false,
                _ => next > end,
            };
            return ends.then(|| {
                push(StrTendril::new());
                end
            });
        }
        let quote = *self.page.get(end + 1).filter(|byte| matches!(byte, b'"' | b'\''))?;
        let rest = self.page.get(end + 2..)?;
        let value = &rest[..memchr(quote, rest)?];
        if memchr3(b'&', b'\r', b'\0', value).is_some() {
            return None;
        }
        push(self.part(end + 2, value.len()));
        Some(end + 2 + value.len() + 1)
    }

    /// The end of the bytes from `start` on that are all `like` it.
    fn run(&self, start: usize, like: impl Fn(u8) -> bool) -> usize {
        let rest = self.page.get(start..).unwrap_or_default();
        start + rest.iter().position(|byte| !like(*byte)).unwrap_or(rest.len())
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\x0c')
}

fn is_boundary(page: &[u8], at: usize) -> bool {
    page.get(at).is_none_or(|byte| byte & 0xC0 != 0x80)
}

fn local(name: &[u8]) -> Option<LocalName> {
    std::str::from_utf8(name).ok().map(LocalName::from)
}

/// The tree builder, and whether the newest token was a tag after which markup goes on.
struct Watch {
    builder: TreeBuilder<u32, Builder>,
    tag: Cell<bool>,
}

impl TokenSink for Watch {
    type Handle = u32;

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<u32> {
        let tag = matches!(token, Token::TagToken(_));
        let result = self.builder.process_token(token, line);
        self.tag.set(tag && matches!(result, TokenSinkResult::Continue | TokenSinkResult::EncodingIndicator(_)));
        result
    }

    fn end(&self) {
        self.builder.end();
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        self.builder.adjusted_current_node_present_but_not_in_html_namespace()
    }
}

#[cfg(test)]
mod tests {
    use html5ever::{ParseOpts, parse_document, tendril::TendrilSink};
    use proptest::prelude::*;

    use super::*;

    fn ours(page: &str) -> String {
        Parser::new(page, 10).finish().shown()
    }

    /// What html5ever makes of a page alone.
    fn theirs(page: &str) -> String {
        let tree_builder = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
        parse_document(Builder::new(10), ParseOpts { tree_builder, ..ParseOpts::default() }).one(page).shown()
    }

    #[test]
    fn whatever_is_not_plain_is_left_to_the_tokenizer() {
        for page in [
            "\u{feff}<p>x",
            "<p a=1 b='2' c=\"3\" d e = 5 f= '6' g='7'h='8' i/j k/>x",
            "<p a a=2 b='1' b='2'>x</p >y</p x='>'>z",
            "<script>a<b && '</p>' > c</script >d<style>e>f<b></style><title>g<b>h&amp;</title>",
            "<textarea>\n<b>x</textarea><xmp></b></xmp><plaintext><b>y</b>",
            "<svg><title><b>x</b></title><![CDATA[<b>a</b>]]><desc/><script>y</script></svg><math><mi/>z</math>",
            "a&amp;b&ampc&notit;d&#x41;&#0;e\r\nf\rg\0h<table>\0i<td>\0j",
            "<!doctype html><!--x><b>--><!x><?y><b/>z</><//><1><B ID=X>w<x-y>v<a:b>",
            "<p title='a>b'>c<p title=a>b<p title='a&amp;b'>d<p title='a\r\nb'>e<p title='ä>'>ü",
            "<pre>\nx</pre><pre>\n\ny</pre><pre>\r\nz</pre><select><option>1<option>2</select>",
            "<p",
            "<p a",
            "<p a=",
            "<p a='b",
            "</p",
            "<",
            "",
            "x",
        ] {
            assert_eq!(ours(page), theirs(page), "{page}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn a_page_gives_the_tree_that_the_tokenizer_alone_gives(
            parts in prop::collection::vec(
                prop_oneof![
                    5 => prop::sample::select(vec![
                        "<", ">", "</", "/>", "\"", "'", "=", " ", "\n", "\r", "\0", "&", ";", "&amp;", "<!--", "-->", "<![CDATA[", "]]>",
                        "<p>", "</p>", "<b>", "</b>", "<a href='/x'>", "<a href=\"?a&b\" class=c>", "</a>", "<table>", "<tr>", "<td>",
                        "</table>", "<caption>", "<script>", "</script>", "<style>", "</style>", "<title>", "</title>", "<textarea>",
                        "</textarea>", "<svg>", "</svg>", "<math>", "<br/>", "<br />", "<img src='x'/>", "<select>", "<option selected>",
                        "<template>", "</template>", "<noscript>", "<plaintext>", "<form>", "<h1>", "</h2>", "<li>", "<pre>", "<body x=y>",
                        "<frameset>", "<!doctype html>", "ä", "\u{10348}", "x", " a=b", " c='d'", " c=\"e\"", " selected",
                    ]).prop_map(str::to_owned),
                    1 => "[a-zA-Z<>/='\"& é]{0,12}",
                    1 => (1_usize..3000).prop_map(|n| "y".repeat(n)),
                ],
                0..60,
            )
        ) {
            let page = parts.concat();
            prop_assert_eq!(ours(&page), theirs(&page));
        }
    }
}
