//! Documents as rows, and what is refused.
use super::*;
use crate::{Code, extract::Limits};

fn items(text: &str, path: &str) -> Result<Vec<String>, Code> {
    let path = Path::parse(path).expect("a path");
    let mut items = Vec::new();
    let mut take = |item: Json<'static>| {
        let mut text = String::new();
        item.write(&mut text);
        items.push(text);
        Ok(())
    };
    let meant = Meant { items: &path, value: None };
    read(text, &meant, &Limits::default(), &mut take).map_err(|e| e.code())?;
    Ok(items)
}

const FEED: &str = r#"<?xml version="1.0"?><!DOCTYPE rss>
<rss><channel><title>News &amp; more</title><atom:link rel="next" href="/feed?page=2&amp;x=1"/>
<item id="1"><title>A &lt;b&gt; &#233;&#x1F9CA;</title><tag>x</tag><tag>y</tag><price cur="USD"> 5 </price></item>
<item id="2"><title><![CDATA[1 < 2 & 3]]></title><empty/><author><name>N</name></author></item>
</channel></rss>"#;

#[test]
fn elements_become_rows() {
    let found = items(FEED, "channel/item").expect("items");
    assert_eq!(found[0], r##"{"@id":"1","title":"A <b> é🧊","tag":["x","y"],"price":{"@cur":"USD","#text":"5"}}"##);
    assert_eq!(found[1], r#"{"@id":"2","title":"1 < 2 & 3","empty":null,"author":{"name":"N"}}"#);
    assert_eq!(items(FEED, "//title").expect("titles").len(), 3);
    assert_eq!(items(FEED, "channel/nothing").expect("none").len(), 0);
}

#[test]
fn the_next_page_is_found_on_the_way() {
    for (path, expected) in [("channel/atom:link/@href", "/feed?page=2&x=1"), ("channel/title", "News & more")] {
        let (items, value) = (Path::parse("//item").expect("a path"), Path::parse(path).expect("a path"));
        let meant = Meant { items: &items, value: Some(&value) };
        let found = read(FEED, &meant, &Limits::default(), &mut |_| Ok(())).expect("read");
        assert_eq!((found.items, found.value.as_deref()), (2, Some(expected)));
    }
}

#[test]
fn values_within_an_item_are_found() {
    let path = Path::parse("//item").expect("a path");
    let mut first = None;
    let mut take = |item: Json<'static>| {
        first.get_or_insert(item);
        Ok(())
    };
    read(FEED, &Meant { items: &path, value: None }, &Limits::default(), &mut take).expect("read");
    let item = first.expect("an item");
    let shown = |path: &str| {
        let mut text = String::new();
        within(&item, path).write(&mut text);
        text
    };
    assert_eq!(shown("@id"), "\"1\"");
    assert_eq!(shown("price"), "\"5\"");
    assert_eq!(shown("price/@cur"), "\"USD\"");
    assert_eq!(shown("tag"), "[\"x\",\"y\"]");
    assert_eq!(shown("author/name"), "null");
}

#[test]
fn what_is_broken_or_dangerous_is_refused() {
    let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;&b;\">]><a>&c;</a>";
    let outside = "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>";
    for (text, code) in [
        ("<a><b>1</b>", Code::XmlInvalid),
        ("<a><b>1</a></b>", Code::XmlInvalid),
        ("<a", Code::XmlInvalid),
        ("", Code::XmlInvalid),
        ("text", Code::XmlInvalid),
        ("<a/><a/>", Code::XmlInvalid),
        ("<a></a>x", Code::XmlInvalid),
        (bomb, Code::XmlEntity),
        (outside, Code::XmlEntity),
        ("<a><b>&nbsp;</b></a>", Code::XmlEntity),
        ("<a><b c='&x;'/></a>", Code::XmlEntity),
        ("<a><b>&#0;</b></a>", Code::XmlInvalid),
        ("<a><b>&#xD800;</b></a>", Code::XmlInvalid),
    ] {
        assert_eq!(items(text, "//b"), Err(code), "{text}");
    }
    assert_eq!(items(&"<a>".repeat(100_000), "//b"), Err(Code::XmlInvalid));
    let attributes: String = (0..600).map(|n| format!(" a{n}='1'")).collect();
    assert_eq!(items(&format!("<a><b{attributes}/></a>"), "//b"), Err(Code::XmlInvalid));
}
