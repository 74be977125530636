//! Bars, drawn as SVG.
use super::escaped;

/// The widths of a bar's name, of the longest bar and of the whole, and the height of a line.
const NAME: f64 = 90.0;
const BAR: f64 = 210.0;
const WIDTH: f64 = 460.0;
const LINE: f64 = 24.0;

/// One bar: its name, its length, and what stands at its end.
pub(super) struct Bar {
    pub name: String,
    pub value: f64,
    pub label: String,
}

/// Bars below each other, the longest as long as there is room; `title` is read to those who do not see them.
pub(super) fn bars(title: &str, bars: &[Bar]) -> String {
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let height = LINE * bars.len() as f64;
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">\n<title>{}</title>\n",
        escaped(title),
        escaped(title)
    );
    for (place, bar) in bars.iter().enumerate() {
        let top = LINE * place as f64;
        let length = if most > 0.0 { (bar.value / most * BAR).max(1.0) } else { 1.0 };
        let (name, label) = (escaped(&bar.name), escaped(&bar.label));
        let class = if place % 2 == 0 { "bar" } else { "bar2" };
        out.push_str(&format!(
            "<text x=\"0\" y=\"{y}\">{name}</text><rect class=\"{class}\" x=\"{NAME}\" y=\"{bar_top}\" width=\"{length:.1}\" \
             height=\"14\" rx=\"2\"/><text x=\"{end:.1}\" y=\"{y}\">{label}</text>\n",
            y = top + 15.0,
            bar_top = top + 4.0,
            end = NAME + length + 8.0,
        ));
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_has_all_the_room_and_none_is_invisible() {
        let bar = |name: &str, value| Bar { name: name.into(), value, label: "<1>".into() };
        let drawn = bars("a \"b\"", &[bar("x", 10.0), bar("y", 0.0)]);
        assert!(drawn.contains("width=\"210.0\"") && drawn.contains("width=\"1.0\""), "{drawn}");
        assert!(drawn.contains("&lt;1&gt;") && drawn.contains("a &quot;b&quot;"));
        assert!(bars("", &[bar("x", 0.0)]).contains("width=\"1.0\""), "no division by nothing");
    }
}
