//! Selectors, and the search by them in a page of every kind of element.
#![no_main]
use icehaul_fuzz::{
    extract::{Document, FieldSelector, Selector},
    limits,
};
use libfuzzer_sys::fuzz_target;

const PAGE: &str = "<!doctype html><html lang=en><title>t</title><body class='a b' id=x><ul><li class=a>1<li data-id='2'>2</ul>\
    <table id=t><thead><tr><th scope=col>h</thead><tbody><tr><td colspan=2><a href='/x' rel='next last'>n</a></table>\
    <p lang=en-GB>p<br><input disabled type=checkbox checked><svg><g/></svg><template><p>in</template>";

fuzz_target!(|text: &str| {
    let limits = limits();
    let Ok(field) = FieldSelector::parse(text) else {
        assert!(Selector::parse(text).is_err() || text.contains('@') || text.is_empty(), "a selector, but no field");
        return;
    };
    let Ok(document) = Document::parse(PAGE, None, &limits) else { return };
    let _ = document.value(&field, &limits);
});
