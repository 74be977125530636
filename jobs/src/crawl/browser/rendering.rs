//! The fields of a request that say what a browser does with a page before it is taken.
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Code, FieldError, extract::Selector};

/// How long a page may take, where the request does not say, and at most, in seconds.
const SECONDS: f64 = 30.0;
const MOST_SECONDS: f64 = 600.0;
/// How often a page is scrolled or clicked on at most.
const MOST_TIMES: u32 = 1000;
/// How often `click` clicks, where the request does not say.
const CLICKS: u32 = 100;

/// What a browser does with a page before it is taken; for `render: browser`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Rendering {
    /// A CSS selector: the page is ready as soon as something matches. Without it, when the page has loaded and asked for
    /// nothing more for half a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"#results tbody tr")]
    pub wait_for: Option<String>,
    /// Scrolls to the end so many times, or until the page does not become longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub scroll: Option<u32>,
    /// A CSS selector of a button such as "load more": it is clicked again and again while it is there and adds something.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"button.load-more")]
    pub click: Option<String>,
    /// How often `click` clicks at most; default: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_clicks: Option<u32>,
    /// How long all that may take for one page; default: 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub render_seconds: Option<f64>,
}

impl Rendering {
    /// Finds what is wrong without any I/O.
    #[must_use]
    pub fn check(&self) -> Vec<FieldError> {
        let mut wrong = Vec::new();
        let mut fault =
            |field: &str, code, detail: String| wrong.push(FieldError { field: field.into(), code, detail });
        for (field, selector) in [("wait_for", &self.wait_for), ("click", &self.click)] {
            if let Some(Err(detail)) = selector.as_deref().map(Selector::parse) {
                fault(field, Code::InvalidSelector, detail);
            }
        }
        for (field, times) in [("scroll", self.scroll), ("max_clicks", self.max_clicks)] {
            if times.is_some_and(|times| !(1..=MOST_TIMES).contains(&times)) {
                fault(field, Code::InvalidField, format!("must be from 1 to {MOST_TIMES}"));
            }
        }
        if self.max_clicks.is_some() && self.click.is_none() {
            fault("click", Code::MissingField, "goes with `max_clicks`".into());
        }
        if self.render_seconds.is_some_and(|seconds| !(0.1..=MOST_SECONDS).contains(&seconds)) {
            fault("render_seconds", Code::InvalidField, format!("must be from 0.1 to {MOST_SECONDS} seconds"));
        }
        wrong
    }

    /// The names of the fields that are given, none of which means anything without a browser.
    pub fn given(&self) -> impl Iterator<Item = &'static str> {
        let fields = [
            ("wait_for", self.wait_for.is_some()),
            ("scroll", self.scroll.is_some()),
            ("click", self.click.is_some()),
            ("max_clicks", self.max_clicks.is_some()),
            ("render_seconds", self.render_seconds.is_some()),
        ];
        fields.into_iter().filter(|(_, given)| *given).map(|(field, _)| field)
    }

    /// How long a page may take.
    pub(super) fn time(&self) -> Duration {
        Duration::from_secs_f64(self.render_seconds.unwrap_or(SECONDS))
    }

    /// What is clicked, and how often at most.
    pub(super) fn clicks(&self) -> Option<(&str, u32)> {
        self.click.as_deref().map(|selector| (selector, self.max_clicks.unwrap_or(CLICKS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_found_before_a_browser_starts() {
        let check = |json: &str| {
            let rendering: Rendering = serde_json::from_str(json).expect("fields");
            rendering.check().into_iter().map(|fault| (fault.field, fault.code)).collect::<Vec<_>>()
        };
        let of = |field: &str, code| vec![(field.to_owned(), code)];
        assert_eq!(check("{}"), []);
        assert_eq!(check(r#"{"wait_for": "table tr", "scroll": 3, "click": "button.more", "max_clicks": 5}"#), []);
        assert_eq!(check(r#"{"wait_for": "tr["}"#), of("wait_for", Code::InvalidSelector));
        assert_eq!(check(r#"{"click": "//button"}"#), of("click", Code::InvalidSelector));
        assert_eq!(check(r#"{"scroll": 0}"#), of("scroll", Code::InvalidField));
        assert_eq!(check(r#"{"max_clicks": 3}"#), of("click", Code::MissingField));
        assert_eq!(check(r#"{"render_seconds": 0}"#), of("render_seconds", Code::InvalidField));
    }

    #[test]
    fn fields_that_need_a_browser_are_named() {
        let rendering = Rendering { scroll: Some(2), render_seconds: Some(1.5), ..Rendering::default() };
        assert_eq!(rendering.given().collect::<Vec<_>>(), ["scroll", "render_seconds"]);
        assert_eq!(rendering.time(), Duration::from_millis(1500));
        assert_eq!(Rendering::default().given().count(), 0);
        assert_eq!(Rendering::default().time(), Duration::from_secs(30));
    }
}
