//! What a reader of the page would see of an element: its text, cleaned, and the link in it.
use super::tree::{Element, Visit};

/// An element as a cell of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    /// The visible text: one line, single blanks, none at the ends.
    pub(super) text: String,
    /// The first link's address, as it is written.
    pub(super) link: Option<String>,
    /// How many footnote marks were left out.
    pub(super) footnotes: usize,
}

/// The longest text within `<sup>` that can be a footnote's mark: `[note 12]`.
const LONGEST_MARK: usize = 12;

/// Reads an element. `apart` tells which elements inside are rows of their own and no part of this one; tables always are.
pub(super) fn read<'t>(element: Element<'t>, apart: impl Fn(Element<'t>) -> bool) -> Cell {
    let mut cell = Cell { link: link_of(element), ..Cell::default() };
    let mut line = Line::default();
    let mut images = Line::default();
    element.walk(|visit| match visit {
        Visit::Text(text) => {
            line.push(text);
            true
        }
        Visit::Enter(inner) => {
            let name = inner.name();
            if name == "table" || is_hidden(inner) || !has_text(name) || apart(inner) {
                line.blank();
                return false;
            }
            if name == "sup" && is_footnote(inner) {
                cell.footnotes += 1;
                return false;
            }
            match name {
                // `10<sup>6</sup>` must not read as 106.
                "sup" if line.ends_with_digit() && text_of(inner).starts_with(|c: char| c.is_ascii_digit()) => {
                    line.push("^");
                }
                "img" => {
                    images.blank();
                    images.push(inner.attribute("alt").unwrap_or_default());
                }
                name if stands_alone(name) => line.blank(),
                _ => {}
            }
            if cell.link.is_none() {
                cell.link = link_of(inner);
            }
            true
        }
        Visit::Leave(inner) => {
            if stands_alone(inner.name()) {
                line.blank();
            }
            true
        }
    });
    // A cell that is only a tick or a flag says it in the image's alternative text.
    cell.text = if line.text.is_empty() { images.text } else { line.text };
    cell
}

/// All text in an element, cleaned, nothing left out.
pub(super) fn text_of(element: Element<'_>) -> String {
    let mut line = Line::default();
    element.walk(|visit| {
        if let Visit::Text(text) = visit {
            line.push(text);
        }
        true
    });
    line.text
}

/// A text as cells are cleaned: blanks of all kinds become one, what has no width goes.
pub(super) fn clean(text: &str) -> String {
    let mut line = Line::default();
    line.push(text);
    line.text
}

fn link_of(element: Element<'_>) -> Option<String> {
    let href = (element.name() == "a").then(|| element.attribute("href")).flatten()?;
    Some(href.trim().to_owned()).filter(|href| !href.is_empty())
}

/// Whether the element is not shown: the `hidden` attribute, or its style.
pub(super) fn is_hidden(element: Element<'_>) -> bool {
    let hidden = |style: &str| {
        style.split(';').filter_map(|rule| rule.split_once(':')).any(|(property, value)| {
            let is = |name: &str, word: &str| {
                property.trim().eq_ignore_ascii_case(name)
                    && value.trim().get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
            };
            is("display", "none") || is("visibility", "hidden")
        })
    };
    element.attributes().any(|(name, value)| match name {
        "hidden" => !value.eq_ignore_ascii_case("until-found"),
        "style" => hidden(value),
        _ => false,
    })
}

/// A mark that leads to a footnote: Wikipedia's class, a link within the page, or brackets.
fn is_footnote(sup: Element<'_>) -> bool {
    if sup.classes().any(|class| class.eq_ignore_ascii_case("reference")) {
        return true;
    }
    let mark = text_of(sup);
    if mark.is_empty() || mark.chars().count() > LONGEST_MARK {
        return false;
    }
    let leads_to_note = |inner: Element<'_>| link_of(inner).is_some_and(|href| href.starts_with('#'));
    mark.starts_with('[') && mark.ends_with(']') || sup.descendants().any(leads_to_note)
}

/// Whether the text within an element is for readers.
fn has_text(name: &str) -> bool {
    !matches!(
        name,
        "script" | "style" | "template" | "noscript" | "head" | "svg" | "iframe" | "datalist" | "annotation" | "object"
    )
}

/// Whether the element begins a new line, so that the words before and after it are not one.
fn stands_alone(name: &str) -> bool {
    matches!(
        name,
        "br" | "p"
            | "div"
            | "li"
            | "ul"
            | "ol"
            | "dl"
            | "dt"
            | "dd"
            | "tr"
            | "td"
            | "th"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "hr"
            | "pre"
            | "blockquote"
            | "section"
            | "article"
            | "header"
            | "footer"
            | "aside"
            | "nav"
            | "main"
            | "figure"
            | "figcaption"
            | "address"
            | "form"
            | "details"
            | "summary"
            | "option"
    )
}

/// A line of text that grows cleanly.
#[derive(Default)]
struct Line {
    text: String,
    blank: bool,
}

impl Line {
    /// What follows is apart from what is there.
    fn blank(&mut self) {
        self.blank = !self.text.is_empty();
    }

    fn push(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() {
                self.blank();
            } else if !is_invisible(c) {
                if std::mem::take(&mut self.blank) {
                    self.text.push(' ');
                }
                self.text.push(c);
            }
        }
    }

    fn ends_with_digit(&self) -> bool {
        !self.blank && self.text.ends_with(|c: char| c.is_ascii_digit())
    }
}

/// What takes no room and means nothing in a table: controls, soft hyphens, zero-width blanks and marks of direction.
/// Joiners stay: they are part of words (Persian) and of emoji.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Document, Limits};
    use super::*;

    fn cell(html: &str) -> Cell {
        let limits = Limits { depth: 10_000, ..Limits::default() };
        let page = Document::parse(&format!("<table><tr><td>{html}</table>"), None, &limits).expect("a page");
        let cell = page.tree.elements().find(|element| element.name() == "td").expect("a cell");
        read(cell, |_| false)
    }

    #[test]
    fn a_cell_reads_as_it_is_seen() {
        let texts = [
            ("line1<br>line2", "line1 line2"),
            ("<div>a</div>b<p>c", "a b c"),
            ("<b>a</b>b", "ab"),
            ("&nbsp;x&nbsp;&nbsp;y\u{200b}z\u{feff} ", "x yz"),
            ("  a \n\t b ", "a b"),
            ("<span style='color:red; DISPLAY : none'>s</span>7", "7"),
            ("<span hidden>s</span>7<i style='visibility:hidden'>0</i>", "7"),
            ("<script>s()</script>7<style>x{}</style><template>t</template><noscript>n</noscript>", "7"),
            ("&lt;script&gt;alert(1)&lt;/script&gt;", "<script>alert(1)</script>"),
            ("1<table><tr><td>inner</table>2", "1 2"),
            ("<img alt='yes' src=tick.png>", "yes"),
            ("<img alt='flag'> Chad", "Chad"),
            ("a\u{200d}b\u{ad}c\u{202e}d", "a\u{200d}bcd"),
            ("<ul><li>a<li>b</ul>", "a b"),
            ("<svg><title>icon</title></svg>5", "5"),
            ("", ""),
        ];
        for (html, text) in texts {
            assert_eq!(cell(html).text, text, "{html}");
        }
    }

    #[test]
    fn footnotes_go_and_powers_stay() {
        let texts = [
            ("42<sup class=reference><a href=#cite>[1]</a></sup>", "42", 1),
            ("42<sup>[a]</sup><sup>[note 1]</sup>", "42", 2),
            ("42<sup><a href='#fn1'>1</a></sup>", "42", 1),
            ("10<sup>6</sup>", "10^6", 0),
            ("m<sup>2</sup>", "m2", 0),
            ("1<sup>st</sup>", "1st", 0),
            ("a[1]", "a[1]", 0),
        ];
        for (html, text, footnotes) in texts {
            let cell = cell(html);
            assert_eq!((cell.text.as_str(), cell.footnotes), (text, footnotes), "{html}");
        }
    }

    #[test]
    fn the_first_visible_link_is_kept() {
        let links = [
            ("<a href=' /p?x=1 '>8</a><a href=/q>9</a>", Some("/p?x=1")),
            ("<a name=x>8</a>", None),
            ("<span hidden><a href=/h>h</a></span><a href=/q>9</a>", Some("/q")),
        ];
        for (html, link) in links {
            assert_eq!(cell(html).link.as_deref(), link, "{html}");
        }
    }

    #[test]
    fn a_walk_through_deep_nesting_needs_no_stack() {
        let html = format!("{}x{}", "<i><b>".repeat(1500), "</b></i>".repeat(1500));
        assert_eq!(cell(&html).text, "x");
    }
}
