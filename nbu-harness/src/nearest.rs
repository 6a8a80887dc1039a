//! The nearest of some words to one that is not among them, for "did you mean".

/// The word nearest to `given`, letter case apart; `None` when none is near enough to be what was meant.
pub(crate) fn nearest<'w>(given: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let given = given.to_lowercase();
    words
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&given, &word.to_lowercase()), word))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, word)| *distance <= 1 + word.len() / 3)
        .map(|(_, word)| word)
}

/// What stands behind "there is no such word": the word that may have been meant, if there is one.
pub(crate) fn hint(near: Option<&str>) -> String {
    near.map(|word| format!(", did you mean {word}?")).unwrap_or_default()
}

/// The same where another sentence follows.
pub(crate) fn hint_ended(near: Option<&str>) -> String {
    if near.is_some() { hint(near) } else { ".".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_meant() {
        assert_eq!(nearest("STU1", ["stu2", "stu1"]), Some("stu1"));
        assert_eq!(nearest("lsu0", ["pool", "unit"]), None);
        assert_eq!(nearest("x", []), None);
    }
}
