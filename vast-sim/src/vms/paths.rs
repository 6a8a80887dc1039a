//! The paths of a VAST cluster with the methods that they take: what is to be said where nothing here serves one.
//!
//! One line each in `paths.txt`, `{}` standing for any id. A method may be followed by `=` and an answer, for what a
//! cluster that serves S3 alone has none of: no open SMB files, no BGP peers, no databases. `204` answers that there is
//! nothing to be done.

use std::sync::LazyLock;

use http::Method;
use serde_json::Value;

use super::call::{Call, Reply};
use super::error::ApiError;
use super::paging;

struct Known {
    steps: Vec<&'static str>,
    methods: Vec<(&'static str, Option<Answer>)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Answer {
    Done,
    Json(Value),
}

fn answer_in(text: &str) -> Option<Answer> {
    if text == "204" { Some(Answer::Done) } else { serde_json::from_str(text).ok().map(Answer::Json) }
}

static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let method = |word: &'static str| {
        word.split_once('=').map_or((word, None), |(method, answer)| (method, answer_in(answer)))
    };
    let read = |line: &'static str| {
        let mut words = line.split(' ');
        Some(Known { steps: words.next()?.split('/').collect(), methods: words.map(method).collect() })
    };
    include_str!("paths.txt").lines().filter_map(read).collect()
});

impl Known {
    fn is_at(&self, segments: &[String]) -> bool {
        self.steps.len() == segments.len()
            && self.steps.iter().zip(segments).all(|(step, given)| *step == "{}" || step == given)
    }

    fn ids(&self) -> usize {
        self.steps.iter().filter(|step| **step == "{}").count()
    }
}

/// A name goes before an id: `users/query` is no user.
fn find(segments: &[String]) -> Option<&'static Known> {
    KNOWN.iter().filter(|known| known.is_at(segments)).min_by_key(|known| known.ids())
}

/// The methods that VAST takes on a path; none when it has no such path.
pub(crate) fn methods(segments: &[String]) -> Option<Vec<&'static str>> {
    find(segments).map(|known| known.methods.iter().map(|(method, _)| *method).collect())
}

/// Whether a path names something below the collection that is no object.
pub(crate) fn is_of_collection(segments: &[String]) -> bool {
    find(segments).is_some_and(|known| known.steps.get(1).is_some_and(|step| *step != "{}"))
}

/// What is answered on a path that nothing here serves: that there is none of it, that the simulator lacks it, that it
/// takes other methods, or that there is no such path.
pub(crate) fn rest(call: &Call) -> Result<Reply, ApiError> {
    let Some(known) = find(&call.segments) else { return Err(ApiError::not_found()) };
    match known.methods.iter().find(|(method, _)| *method == call.method.as_str()) {
        Some((_, Some(Answer::Done))) => Ok(Reply::no_content()),
        Some((_, Some(Answer::Json(Value::Array(rows))))) if call.method == Method::GET => {
            paging::answer(rows.clone(), &call.query, false, |_| String::new()).map(Reply::ok)
        }
        Some((_, Some(Answer::Json(body)))) => Ok(Reply::ok(body.clone())),
        Some((_, None)) => Err(ApiError::not_implemented(&call.segments.join("/"))),
        None => Err(ApiError::method_not_allowed(&call.method)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::caller::Caller;
    use super::*;

    fn ask(method: Method, path: &str) -> Result<Reply, ApiError> {
        rest(&Call {
            method,
            segments: path.split('/').map(str::to_owned).collect(),
            query: Vec::new(),
            body: Value::Null,
            origin: String::new(),
            prefix: String::new(),
            caller: Caller::itself(),
        })
    }

    #[test]
    fn a_refusal_says_why() {
        let status = |method: Method, path: &str| match ask(method, path) {
            Ok(reply) => reply.status.as_u16(),
            Err(error) => error.status.as_u16(),
        };
        assert_eq!(status(Method::POST, "clusters/wipe"), 501);
        assert_eq!(status(Method::GET, "clusters/wipe"), 405);
        assert_eq!(status(Method::PATCH, "clusters/1/upgrade"), 501);
        assert_eq!(status(Method::GET, "clusters/1/nothing"), 404);
        assert_eq!(status(Method::DELETE, "clusters/1/locks"), 204);
        assert_eq!(ask(Method::GET, "openfiles"), Ok(Reply::ok(Value::Array(Vec::new()))));
        assert_eq!(methods(&["users".to_owned(), "query".to_owned()]).unwrap(), ["GET", "PATCH"]);
    }

    #[test]
    fn every_line_names_a_path_and_its_methods() {
        for line in include_str!("paths.txt").lines() {
            for word in line.split(' ').skip(1) {
                let (method, answer) = word.split_once('=').unwrap_or((word, "204"));
                assert!(["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method), "{line}");
                assert!(answer_in(answer).is_some(), "{line}");
            }
        }
        assert!(KNOWN.iter().all(|known| !known.methods.is_empty()));
    }
}
