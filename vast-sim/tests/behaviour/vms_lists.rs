//! Filters and paging through the public interface, against a naive filter over the same rows.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use vast_sim::{BlockingCluster, Config};

/// A row of the test: what is posted as a quota.
#[derive(Debug, Clone)]
struct Made {
    name: String,
    limit: Option<u64>,
    email: Option<String>,
    user_quota: bool,
    tenant: usize,
}

/// A filter and what it should mean.
#[derive(Debug, Clone)]
struct Filter {
    field: &'static str,
    suffix: &'static str,
    value: String,
}

fn made() -> impl Strategy<Value = Made> {
    let name = "[abAB]{1,3}";
    let email = proptest::option::of("[ab]{0,2}@x");
    (name, proptest::option::of(0u64..6), email, any::<bool>(), 0..2usize)
        .prop_map(|(name, limit, email, user_quota, tenant)| Made { name, limit, email, user_quota, tenant })
}

const TEXT_SUFFIXES: &[&str] = &[
    "",
    "__exact",
    "__iexact",
    "__contains",
    "__icontains",
    "__startswith",
    "__istartswith",
    "__endswith",
    "__iendswith",
    "__in",
    "__regex",
    "__iregex",
    "__not",
    "__not_contains",
    "__not_in",
    "__not_startswith",
];
const NUMBER_SUFFIXES: &[&str] =
    &["", "__gt", "__gte", "__lt", "__lte", "__in", "__isnull", "__not", "__not_gt", "__not_in"];

fn filter() -> impl Strategy<Value = Filter> {
    let texts = prop_oneof![Just("name"), Just("default_email"), Just("tenant_name"), Just("tenant__name")];
    let text = (texts, proptest::sample::select(TEXT_SUFFIXES), "[abAB]{1,2}(,[ab]{1,2})?|default|t-one")
        .prop_map(|(field, suffix, value)| Filter { field, suffix, value });
    let numbers = prop_oneof![Just("hard_limit"), Just("tenant_id"), Just("tenant__id")];
    let number =
        (numbers, proptest::sample::select(NUMBER_SUFFIXES), 0u64..6).prop_map(|(field, suffix, n)| {
            let value = match suffix {
                "__isnull" => (n % 2 == 0).to_string(),
                "__in" | "__not_in" => format!("{n},{}", n + 1),
                _ => n.to_string(),
            };
            Filter { field, suffix, value }
        });
    let switch =
        any::<bool>().prop_map(|v| Filter { field: "is_user_quota", suffix: "", value: v.to_string() });
    let unknown = Just(Filter { field: "tentant_id", suffix: "", value: "7".to_owned() });
    prop_oneof![4 => text, 4 => number, 1 => switch, 1 => unknown]
}

/// The model: what a filter means, said as plainly as possible.
fn keeps(row: &Value, filter: &Filter) -> bool {
    let field = match filter.field {
        "tenant__name" => "tenant_name",
        "tenant__id" => "tenant_id",
        other => other,
    };
    let Some(value) = row.get(field) else { return true };
    let suffix = filter.suffix.trim_start_matches("__");
    let (negated, suffix) = match suffix {
        "not" => (true, "exact"),
        other => other.strip_prefix("not_").map_or((false, other), |s| (true, s)),
    };
    let wanted = filter.value.as_str();
    let holds = match value {
        Value::Null => suffix == "isnull" && wanted == "true",
        Value::Bool(b) => b.to_string() == wanted,
        Value::Number(n) => {
            let n = n.as_u64().unwrap();
            let one = || wanted.parse::<u64>().unwrap();
            match suffix {
                "" | "exact" => n == one(),
                "gt" => n > one(),
                "gte" => n >= one(),
                "lt" => n < one(),
                "lte" => n <= one(),
                "in" => wanted.split(',').any(|w| w.parse() == Ok(n)),
                "isnull" => wanted == "false",
                other => panic!("{other}"),
            }
        }
        Value::String(s) => {
            let (folded, want) = (s.to_lowercase(), wanted.to_lowercase());
            match suffix {
                "" | "exact" => s == wanted,
                "iexact" => folded == want,
                "contains" | "regex" => s.contains(wanted),
                "icontains" | "iregex" => folded.contains(&want),
                "startswith" => s.starts_with(wanted),
                "istartswith" => folded.starts_with(&want),
                "endswith" => s.ends_with(wanted),
                "iendswith" => folded.ends_with(&want),
                "in" => wanted.split(',').any(|w| w == s),
                other => panic!("{other}"),
            }
        }
        other => panic!("{other}"),
    };
    holds != negated
}

/// `GET` of a list through the library's door to VMS, which is the one behind the listener.
fn get(cluster: &BlockingCluster, query: &str) -> Value {
    cluster.vms("GET", &format!("quotas/?{query}"), &Value::Null).unwrap()
}

fn ids(rows: &[Value]) -> Vec<u64> {
    rows.iter().map(|r| r["id"].as_u64().unwrap()).collect()
}

fn check(rows: &[Made], filters: &[Filter], size: usize) -> Result<(), TestCaseError> {
    let cluster = BlockingCluster::start(Config::default(), 1).unwrap();
    let tenant = cluster.create("tenants", &json!({ "name": "t-one" })).unwrap()["id"].clone();
    let tenants = [json!(1), tenant];
    for (n, row) in rows.iter().enumerate() {
        let body = json!({ "name": row.name, "path": format!("/{n}"), "hard_limit": row.limit, "default_email": row.email,
            "is_user_quota": row.user_quota, "tenant_id": tenants[row.tenant], "create_dir": true });
        cluster.create("quotas", &body).unwrap();
    }
    let all = get(&cluster, "");
    let all = all.as_array().unwrap();
    prop_assert_eq!(all.len(), rows.len());
    let expected: Vec<Value> =
        all.iter().filter(|row| filters.iter().all(|f| keeps(row, f))).cloned().collect();
    let query: Vec<String> = filters.iter().map(|f| format!("{}{}={}", f.field, f.suffix, f.value)).collect();
    let query = query.join("&");
    let found = get(&cluster, &query);
    prop_assert_eq!(ids(found.as_array().unwrap()), ids(&expected), "{}", query);

    // The same by pages, following the links.
    let mut url = format!("{query}&page_size={size}");
    let mut seen = Vec::new();
    loop {
        let page = get(&cluster, &url);
        prop_assert_eq!(page["count"].as_u64(), Some(expected.len() as u64));
        let results = page["results"].as_array().unwrap();
        prop_assert!(results.len() <= size);
        seen.extend(ids(results));
        let Some(next) = page["next"].as_str() else { break };
        prop_assert!(next.starts_with("https://") && !results.is_empty(), "{}", next);
        next.split_once('?').unwrap().1.clone_into(&mut url);
    }
    prop_assert_eq!(seen, ids(&expected), "by pages: {}", query);
    cluster.stop();
    Ok(())
}

#[test]
fn filters_and_pages_agree_with_a_naive_filter() {
    let cases =
        (proptest::collection::vec(made(), 0..8), proptest::collection::vec(filter(), 0..4), 1usize..5);
    TestRunner::new(crate::random::cases(60))
        .run(&cases, |(rows, filters, size)| check(&rows, &filters, size))
        .unwrap();
}
