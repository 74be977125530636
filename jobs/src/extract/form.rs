//! Forms of a page, as far as a login needs them.
use super::{Document, Limits, Selector, tree::Element};
use crate::{Code, Error, Result};

/// The most fields of a form.
const MOST_FIELDS: usize = 200;

/// A form as it would be sent if nothing were filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Where it is sent; relative to the page's address, or to its `<base>`, in which case it is absolute.
    pub action: Option<String>,
    /// Whether it is sent in the body of a request, not in its address.
    pub is_post: bool,
    /// Whether it is sent as most forms are.
    pub is_urlencoded: bool,
    /// Names and values of what would be sent, hidden fields and the first button among them.
    pub fields: Vec<(String, String)>,
    /// The name of its first field for a password.
    pub password: Option<String>,
}

impl Document {
    /// Whether an element matches.
    ///
    /// # Errors
    /// [`Code::HtmlTooLarge`] if the search takes too long.
    pub fn has(&self, selector: &Selector, limits: &Limits) -> Result<bool> {
        selector.select(&self.tree, limits).map(|found| !found.is_empty())
    }

    /// The first form that matches, or without a selector the first that has a field for a password.
    ///
    /// # Errors
    /// [`Code::InvalidSelector`]; [`Code::HtmlTooLarge`] if the search takes too long.
    pub fn form(&self, selector: Option<&str>, limits: &Limits) -> Result<Option<Form>> {
        let forms = match selector {
            Some(text) => {
                let selector = Selector::parse(text)
                    .map_err(|fault| Error::field("auth.login.form", Code::InvalidSelector, fault))?;
                selector.select(&self.tree, limits)?
            }
            None => self.tree.elements().filter(|element| element.name() == "form").collect(),
        };
        let mut read = forms.into_iter().filter(|form| form.name() == "form").map(|form| self.read(form));
        Ok(match selector {
            Some(_) => read.next(),
            None => read.find(|form| form.password.is_some()),
        })
    }

    fn read(&self, form: Element<'_>) -> Form {
        let is =
            |name: &str, value: &str| form.attribute(name).is_some_and(|own| own.trim().eq_ignore_ascii_case(value));
        let mut read = Form {
            action: self.links().value(form, Some("action")),
            is_post: is("method", "post"),
            is_urlencoded: form.attribute("enctype").is_none() || is("enctype", "application/x-www-form-urlencoded"),
            ..Form::default()
        };
        let mut has_button = false;
        for control in form.descendants().filter(|control| control.attribute("disabled").is_none()) {
            let Some(name) = control.attribute("name").filter(|name| !name.is_empty()) else { continue };
            let kind = control.attribute("type").unwrap_or("text").trim().to_ascii_lowercase();
            let value = control.attribute("value");
            let sent = match (control.name(), kind.as_str()) {
                ("input", "password") => {
                    read.password.get_or_insert_with(|| name.to_owned());
                    None
                }
                ("input", "checkbox" | "radio") => control.attribute("checked").map(|_| value.unwrap_or("on")),
                ("input", "submit") | ("button", "submit" | "text") if !has_button => {
                    has_button = true;
                    Some(value.unwrap_or_default())
                }
                ("input", "submit" | "image" | "button" | "reset" | "file") | ("button", _) => None,
                ("input", _) => Some(value.unwrap_or_default()),
                _ => None,
            };
            if let Some(value) = sent.filter(|_| read.fields.len() < MOST_FIELDS) {
                read.fields.push((name.to_owned(), value.to_owned()));
            }
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_it_would_be_sent() {
        let page = "<form action=/search><input name=q></form>
            <form id=login method=POST action='/session?x=1'>
              <input type=hidden name=csrf value='a&amp;b'><input name=user value=guest><input type=PASSWORD name=pw value=x>
              <input type=checkbox name=keep checked><input type=checkbox name=spam><input type=hidden name=off disabled>
              <input type=radio name=r value=1><input type=file name=f><input value=nameless>
              <button name=go value=1>Log in</button><input type=submit name=cancel value=2>
            </form>";
        let limits = Limits::default();
        let document = Document::parse(page, None, &limits).expect("a page");
        let form = document.form(None, &limits).expect("looked").expect("a form");
        let pairs = [("csrf", "a&b"), ("user", "guest"), ("keep", "on"), ("go", "1")];
        assert_eq!(form.fields, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(form.password.as_deref(), Some("pw"));
        assert!(form.is_post && form.is_urlencoded);
        assert_eq!(form.action.as_deref(), Some("/session?x=1"));
        let other = document.form(Some("form"), &limits).expect("looked").expect("a form");
        assert!(!other.is_post && other.password.is_none());
        assert_eq!(document.form(Some("#none"), &limits).expect("looked"), None);
        let logout = Selector::parse("#login input").expect("a selector");
        assert!(document.has(&logout, &limits).expect("looked"));
    }
}
