//! Lists: bare unless a page is asked for (or the resource always does so), then in an envelope.

use serde_json::{Value, json};

use super::error::ApiError;

/// Rows of a page when the client does not say.
const DEFAULT_PAGE_SIZE: usize = 50;
/// Most rows of a page.
const MAX_PAGE_SIZE: usize = 10_000;

/// The answer to a list request. `link` makes the absolute URL of another page of the same query.
pub(crate) fn answer(
    rows: Vec<Value>,
    query: &[(String, String)],
    enveloped: bool,
    link: impl Fn(usize) -> String,
) -> Result<Value, ApiError> {
    let asked = |name: &str| query.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let (page, size) = (asked("page"), asked("page_size"));
    if page.is_none() && size.is_none() && !enveloped {
        return Ok(Value::Array(rows));
    }
    let invalid = || ApiError::detail(http::StatusCode::NOT_FOUND, "Invalid page.");
    // As Django's paginators do: a size that is none counts as not given, a page that is none is not found.
    let size: usize = size.and_then(|s| s.parse().ok()).filter(|s| *s > 0).unwrap_or(DEFAULT_PAGE_SIZE);
    let size = size.min(MAX_PAGE_SIZE);
    let count = rows.len();
    let page: usize = match page {
        None => 1,
        Some("last") => count.div_ceil(size).max(1),
        Some(number) => number.parse().map_err(|_| invalid())?,
    };
    let start = page.checked_sub(1).and_then(|p| p.checked_mul(size)).ok_or_else(invalid)?;
    if start >= count && page > 1 {
        return Err(invalid());
    }
    let results: Vec<Value> = rows.into_iter().skip(start).take(size).collect();
    let next = (start + size < count).then(|| link(page + 1));
    let previous = (page > 1).then(|| link(page - 1));
    Ok(json!({ "count": count, "next": next, "previous": previous, "results": results }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(rows: usize, query: &[(&str, &str)]) -> Result<Value, ApiError> {
        let query: Vec<_> = query.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        answer((0..rows).map(Value::from).collect(), &query, false, |p| format!("p{p}"))
    }

    #[test]
    fn bare_without_a_page_and_enveloped_with_one() {
        assert_eq!(ask(2, &[]).unwrap(), json!([0, 1]));
        let page = ask(3, &[("page_size", "2"), ("page", "2")]).unwrap();
        assert_eq!(page, json!({"count": 3, "next": null, "previous": "p1", "results": [2]}));
        assert_eq!(ask(0, &[("page", "1")]).unwrap()["results"], json!([]));
        assert_eq!(ask(3, &[("page", "9")]).unwrap_err().status, 404);
        assert_eq!(ask(3, &[("page", "0")]).unwrap_err().status, 404);
        assert_eq!(ask(3, &[("page", "x")]).unwrap_err().status, 404);
        assert_eq!(ask(3, &[("page", "-1")]).unwrap_err().status, 404);
        assert_eq!(ask(3, &[("page", "last"), ("page_size", "2")]).unwrap()["results"], json!([2]));
        for odd in ["0", "-1", "x", "", "1.5", "99999999999999999999999"] {
            let page = ask(60, &[("page_size", odd)]).unwrap();
            assert_eq!(
                (&page["count"], page["results"].as_array().unwrap().len()),
                (&json!(60), 50),
                "{odd}"
            );
        }
    }

    proptest! {
        #![proptest_config(crate::random::cases(256))]

        #[test]
        fn following_next_gives_every_row_once(rows in 0usize..60, size in 1usize..20) {
            let mut seen = Vec::new();
            let mut page = 1;
            loop {
                let (p, s) = (page.to_string(), size.to_string());
                let got = ask(rows, &[("page", &p), ("page_size", &s)]).unwrap();
                seen.extend(got["results"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()));
                if got["next"].is_null() { break; }
                page += 1;
            }
            prop_assert_eq!(seen, (0..rows as u64).collect::<Vec<_>>());
        }
    }
}
