//! The clients of a policy: the keys `client` and `clients`, and the data streams that each of them has.

use super::file::Policy;
use super::resolve::{Problem, twice};
use super::spec::Stream;
use serde_saphyr::{Location, Spanned};

/// The client of a policy that names none.
const CLIENT: &str = "client1";
/// Most clients of one policy here.
const MAX_CLIENTS: usize = 256;
/// Longest name, as the catalogue takes it.
const MAX_NAME: usize = 128;

/// The policy's clients, in order.
pub(super) fn resolve(policy: &Policy) -> Result<Vec<String>, Problem> {
    let given = match (&policy.client, &policy.clients) {
        (Some(client), Some(_)) => {
            let message = "`client` and `clients` exclude each other";
            return Err(Problem::new(client.referenced, message, "leave one of the two out"));
        }
        (Some(client), None) => std::slice::from_ref(client),
        (None, Some(clients)) if (1..=MAX_CLIENTS).contains(&clients.value.len()) => &clients.value,
        (None, Some(clients)) => {
            let message = format!("a policy cannot have {} clients", clients.value.len());
            let help = format!("expected 1 to {MAX_CLIENTS}");
            return Err(Problem::new(clients.referenced, message, help));
        }
        (None, None) => return Ok(vec![CLIENT.to_owned()]),
    };
    let mut names: Vec<String> = Vec::new();
    for client in given {
        if names.contains(&client.value) {
            return Err(twice(client.referenced, &client.value, "client"));
        }
        names.push(name(client)?);
    }
    Ok(names)
}

fn name(client: &Spanned<String>) -> Result<String, Problem> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if (1..=MAX_NAME).contains(&client.value.len()) && client.value.bytes().all(allowed) {
        return Ok(client.value.clone());
    }
    let message = format!("`{}` cannot be the name of a client", client.value);
    let help = "expected 1 to 128 letters, digits, '.', '-' and '_'";
    Err(Problem::new(client.referenced, message, help))
}

/// The streams of the file list for every client: those of the first one as they are, those of the others with data of
/// their own where it is generated. `parse` reads the list with the seed that it is given.
pub(super) fn streams(
    clients: &[String],
    seed: u64,
    place: Location,
    parse: impl Fn(u64) -> Result<Vec<Stream>, Problem>,
) -> Result<Vec<Stream>, Problem> {
    let mut all: Vec<Stream> = Vec::new();
    for (client, index) in clients.iter().zip(0u64..) {
        // The first has the scenario's own seed; the others one that no other scenario is likely to have.
        let of_client = parse(seed ^ index.wrapping_mul(0x9E37_79B9_7F4A_7C15))?;
        for stream in of_client {
            all.push(Stream { number: all.len() + 1, client: client.clone(), ..stream });
        }
    }
    // What one client has is written out in the file; several multiply it.
    if clients.len() > 1 && all.len() > super::selections::MAX_STREAMS {
        let message = format!("{} data streams in all", all.len());
        let help = format!("expected at most {}", super::selections::MAX_STREAMS);
        return Err(Problem::new(place, message, help));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use crate::scenario::{StreamSource, parse};
    use std::collections::BTreeSet;

    #[test]
    fn every_client_has_every_stream_with_data_of_its_own() {
        let text = "scenario: NBU-BKP-900\ntitle: two clients\nseed: 3\n\
                    storage:\n  lsus: [{name: lsu0}]\n  units: [{label: stu1, lsu: lsu0}]\n\
                    policy: {name: p1, storage: stu1, clients: [a, b]}\n\
                    selections: [GEN_DATA, NEW_STREAM, GEN_DATA]\nrun:\n  - backup: {}\n";
        let scenario = parse("two.yaml", text).unwrap();
        let streams: Vec<(usize, &str, u32)> = scenario
            .streams
            .iter()
            .map(|stream| (stream.number, stream.client.as_str(), stream.of_client))
            .collect();
        assert_eq!(streams, [(1, "a", 1), (2, "a", 2), (3, "b", 1), (4, "b", 2)]);
        let seeds: BTreeSet<u64> = scenario
            .streams
            .iter()
            .filter_map(|stream| match &stream.source {
                StreamSource::Synthetic(data) => Some(data.seed),
                _ => None,
            })
            .collect();
        assert_eq!(seeds.len(), 4, "{seeds:?}");
    }
}
