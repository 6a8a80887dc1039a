//! The paths of a VAST cluster that no table of fields speaks of, most of them below resources: which methods they take,
//! and what is to be said where nothing here serves one.
//!
//! One line each in `paths.txt`, `{}` standing for any id, with the methods that it takes.

use std::sync::LazyLock;

use http::Method;

use super::error::ApiError;

struct Known {
    steps: Vec<&'static str>,
    methods: Vec<&'static str>,
}

static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let read = |line: &'static str| {
        let mut words = line.split_whitespace();
        Some(Known { steps: words.next()?.split('/').collect(), methods: words.collect() })
    };
    include_str!("paths.txt").lines().filter_map(read).collect()
});

/// The methods that VAST takes on such a path; none when it has no such path.
pub(crate) fn methods(segments: &[String]) -> Option<&'static [&'static str]> {
    let same = |known: &&Known| {
        known.steps.len() == segments.len()
            && known.steps.iter().zip(segments).all(|(step, given)| *step == "{}" || step == given)
    };
    // A name goes before an id: `users/query` is no user.
    let found =
        KNOWN.iter().filter(same).min_by_key(|known| known.steps.iter().filter(|s| **s == "{}").count());
    found.map(|known| known.methods.as_slice())
}

/// Whether a path names something below the collection that is no object.
pub(crate) fn is_of_collection(segments: &[String]) -> bool {
    KNOWN.iter().any(|known| {
        known.steps.len() == segments.len()
            && known.steps.get(1).is_some_and(|step| *step != "{}")
            && known.steps.iter().zip(segments).all(|(step, given)| *step == "{}" || step == given)
    })
}

/// Why a path below a resource is not served: there is none, it takes other methods, or the simulator lacks it.
pub(crate) fn refusal(method: &Method, segments: &[String]) -> ApiError {
    match methods(segments) {
        None => ApiError::not_found(),
        Some(methods) if methods.contains(&method.as_str()) => ApiError::not_implemented(&segments.join("/")),
        Some(_) => ApiError::method_not_allowed(method),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_why() {
        let status = |method: Method, path: &str| {
            let segments: Vec<String> = path.split('/').map(str::to_owned).collect();
            refusal(&method, &segments).status.as_u16()
        };
        assert_eq!(status(Method::POST, "clusters/wipe"), 501);
        assert_eq!(status(Method::GET, "clusters/wipe"), 405);
        assert_eq!(status(Method::PATCH, "clusters/1/upgrade"), 501);
        assert_eq!(status(Method::GET, "clusters/1/nothing"), 404);
        assert_eq!(methods(&["users".to_owned(), "query".to_owned()]), Some(["GET", "PATCH"].as_slice()));
    }

    #[test]
    fn every_line_names_a_path_and_its_methods() {
        for known in KNOWN.iter() {
            let good = |m: &&str| ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(m);
            assert!(!known.methods.is_empty() && known.methods.iter().all(good));
        }
    }
}
