//! Names of columns, made from what headers say.
use std::collections::HashSet;

/// The longest name, in characters.
const LONGEST: usize = 128;

/// A header's words as a name: letters, digits and case stay, everything between them becomes one `_`. Empty if nothing
/// is left.
pub(super) fn from_words(words: &str) -> String {
    let mut name = String::new();
    for c in words.chars() {
        if c.is_alphanumeric() || is_mark(c) && name.ends_with(char::is_alphanumeric) {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    name.truncate(name.trim_end_matches('_').len());
    cut(&mut name, LONGEST);
    name
}

/// A sign that belongs to the letter before it: vowels and accents of their own, as Indic scripts have them.
const fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{900}'..='\u{dff}' | '\u{e31}'..='\u{e4e}' | '\u{200c}' | '\u{200d}')
}

fn cut(name: &mut String, most: usize) {
    if let Some((end, _)) = name.char_indices().nth(most) {
        name.truncate(end);
    }
}

/// Gives every column a name of its own, whatever its case: an empty one becomes `column_n` by its place from 1, a
/// repeated one gets `_2`, `_3` and so on. Also tells which of them had to change.
pub(super) fn distinct(names: Vec<String>) -> (Vec<String>, Vec<usize>) {
    let wanted: HashSet<String> = names.iter().map(|name| name.to_lowercase()).collect();
    let mut taken = HashSet::new();
    let mut renamed = Vec::new();
    let mut last = std::collections::HashMap::<String, usize>::new();
    let mut result = Vec::with_capacity(names.len());
    for (n, name) in names.into_iter().enumerate() {
        let name = if name.is_empty() { format!("column_{}", n + 1) } else { name };
        let lower = name.to_lowercase();
        if taken.insert(lower.clone()) {
            result.push(name);
            continue;
        }
        renamed.push(n);
        let count = last.entry(lower).or_insert(1);
        let free = loop {
            *count += 1;
            let mut candidate = name.clone();
            let ending = format!("_{count}");
            cut(&mut candidate, LONGEST - ending.len());
            candidate.push_str(&ending);
            let lower = candidate.to_lowercase();
            if !wanted.contains(&lower) && taken.insert(lower) {
                break candidate;
            }
        };
        result.push(free);
    }
    (result, renamed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_become_names() {
        let names = [
            ("GDP per capita", "GDP_per_capita"),
            ("Length (km)", "Length_km"),
            ("% change", "change"),
            ("2020", "2020"),
            ("Größe / m²", "Größe_m²"),
            ("Nº", "Nº"),
            ("a.b-c", "a_b_c"),
            ("_id_", "id"),
            ("#", ""),
            ("人口", "人口"),
            ("राज्य", "राज्य"),
            ("", ""),
        ];
        for (words, name) in names {
            assert_eq!(from_words(words), name, "{words}");
        }
        assert_eq!(from_words(&"ä".repeat(500)).chars().count(), 128);
    }

    #[test]
    fn repeated_and_empty_names_are_told_apart() {
        let of = |names: &[&str]| distinct(names.iter().map(ToString::to_string).collect());
        assert_eq!(of(&["a", "a", ""]), (vec!["a".into(), "a_2".into(), "column_3".into()], vec![1]));
        assert_eq!(of(&["ID", "id", "Id"]).0, ["ID", "id_2", "Id_3"]);
        assert_eq!(of(&["a", "a", "a_2"]).0, ["a", "a_3", "a_2"]);
        assert_eq!(of(&["column_2", ""]).0, ["column_2", "column_2_2"]);
    }

    proptest! {
        #[test]
        fn names_are_distinct_and_not_empty(words in prop::collection::vec("[aAbB_ .2]{0,3}", 0..30)) {
            let (names, _) = distinct(words.iter().map(|words| from_words(words)).collect());
            let lower: HashSet<_> = names.iter().map(|name| name.to_lowercase()).collect();
            prop_assert_eq!(lower.len(), words.len());
            prop_assert!(names.iter().all(|name| !name.is_empty()));
        }
    }
}
