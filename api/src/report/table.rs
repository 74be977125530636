//! Tables of a page.
use super::escaped;

/// A cell: its text, and the class that says how it looks.
pub(super) struct Cell(pub String, pub &'static str);

impl Cell {
    /// Text.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self(escaped(text.as_ref()), "")
    }

    /// An id, a path, a digest.
    pub fn id(text: Option<&str>) -> Self {
        Self(text.map_or_else(|| "—".to_owned(), escaped), "id")
    }

    /// A number.
    pub fn number(n: Option<u64>) -> Self {
        Self(n.map_or_else(|| "—".to_owned(), super::number), "n")
    }

    /// Whether something is as it should be.
    pub fn verdict(holds: Option<bool>) -> Self {
        match holds {
            Some(true) => Self("✔ equal".into(), "yes"),
            Some(false) => Self("✘ differs".into(), "no"),
            None => Self("not compared".into(), "soft"),
        }
    }
}

/// A table; rows that do not hold are marked.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = (bool, Vec<Cell>)>) -> String {
    let head: String = header.iter().map(|name| format!("<th>{}</th>", escaped(name))).collect();
    let mut body = String::new();
    for (holds, cells) in rows {
        body.push_str(if holds { "<tr>" } else { "<tr class=\"no\">" });
        for Cell(text, class) in cells {
            match class {
                "" => body.push_str(&format!("<td>{text}</td>")),
                class => body.push_str(&format!("<td class=\"{class}\">{text}</td>")),
            }
        }
        body.push_str("</tr>\n");
    }
    format!("<div class=\"wide\"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>\n")
}
