//! The database against a plain model of its references: what refers to what, and what may change.

use super::tests::{media_server, pool, server, unit};
use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What an administrator does next; names are small numbers, so that they meet.
#[derive(Debug, Clone)]
enum Act {
    AddMedia(u8),
    AddServer(u8, u8),
    AddPool(u8, u8, Vec<u8>),
    AddUnit(u8, u8, Option<u8>),
    AddGroup(u8, Vec<u8>),
    RemoveMedia(u8),
    RemoveServer(u8),
    RemovePool(u8),
    RemoveUnit(u8),
    RemoveGroup(u8),
}

/// The same as plain sets: what refers to what.
#[derive(Debug, Default)]
struct Model {
    media: BTreeSet<u8>,
    servers: BTreeMap<u8, u8>,
    pools: BTreeMap<u8, (u8, Vec<u8>)>,
    units: BTreeMap<u8, (u8, Option<u8>)>,
    groups: BTreeMap<u8, Vec<u8>>,
}

impl Model {
    /// Whether the act is possible; does it then.
    fn act(&mut self, act: &Act) -> bool {
        match act {
            Act::AddMedia(m) => self.media.insert(*m),
            Act::AddServer(s, m) => {
                self.media.contains(m)
                    && !self.servers.contains_key(s)
                    && self.servers.insert(*s, *m).is_none()
            }
            Act::AddPool(p, s, volumes) => {
                let taken = self.pools.values().filter(|(server, _)| server == s).flat_map(|(_, v)| v);
                let distinct = volumes.iter().collect::<BTreeSet<_>>().len() == volumes.len();
                let free = taken.collect::<BTreeSet<_>>().is_disjoint(&volumes.iter().collect());
                self.servers.contains_key(s)
                    && !self.pools.contains_key(p)
                    && !volumes.is_empty()
                    && distinct
                    && free
                    && self.pools.insert(*p, (*s, volumes.clone())).is_none()
            }
            Act::AddUnit(u, p, m) => {
                self.pools.contains_key(p)
                    && m.is_none_or(|m| self.media.contains(&m))
                    && !self.units.contains_key(u)
                    && !self.groups.contains_key(u)
                    && self.units.insert(*u, (*p, *m)).is_none()
            }
            Act::AddGroup(g, units) => {
                !units.is_empty()
                    && units.iter().all(|u| self.units.contains_key(u))
                    && units.iter().collect::<BTreeSet<_>>().len() == units.len()
                    && !self.units.contains_key(g)
                    && !self.groups.contains_key(g)
                    && self.groups.insert(*g, units.clone()).is_none()
            }
            Act::RemoveMedia(m) => {
                !self.servers.values().any(|by| by == m)
                    && !self.units.values().any(|(_, by)| *by == Some(*m))
                    && self.media.remove(m)
            }
            Act::RemoveServer(s) => {
                !self.pools.values().any(|(server, _)| server == s) && self.servers.remove(s).is_some()
            }
            Act::RemovePool(p) => {
                !self.units.values().any(|(pool, _)| pool == p) && self.pools.remove(p).is_some()
            }
            Act::RemoveUnit(u) => {
                !self.groups.values().any(|units| units.contains(u)) && self.units.remove(u).is_some()
            }
            Act::RemoveGroup(g) => self.groups.remove(g).is_some(),
        }
    }
}

fn act_on(database: &mut Database, act: &Act) -> Result<(), EmmError> {
    let (settings, none) = (Settings::default(), CredentialStore::default());
    match act {
        Act::AddMedia(m) => database.add_media_server(media_server(&format!("m{m}"))),
        Act::AddServer(s, m) => {
            database.add_storage_server(server(&format!("s{s}"), &format!("m{m}")), &settings)
        }
        Act::AddPool(p, s, volumes) => {
            let names: Vec<_> = volumes.iter().map(|v| format!("v{v}")).collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            database.add_disk_pool(&pool(&format!("p{p}"), &format!("T:s{s}"), &names), &settings)
        }
        Act::AddUnit(u, p, m) => {
            let servers = m.iter().map(|m| format!("m{m}")).collect();
            let values = UnitValues { media_servers: Some(servers), ..unit(&format!("p{p}")) };
            database.add_storage_unit(&format!("u{u}"), &values, &settings)
        }
        Act::AddGroup(g, units) => database.add_storage_unit_group(StorageUnitGroup {
            name: format!("u{g}"),
            units: units.iter().map(|u| format!("u{u}")).collect(),
            selection: Selection::Prioritized,
        }),
        Act::RemoveMedia(m) => database.remove_media_server(&format!("m{m}"), &none).map(|_| ()),
        Act::RemoveServer(s) => database.remove_storage_server(&format!("T:s{s}"), &none).map(|_| ()),
        Act::RemovePool(p) => database.remove_disk_pool(&format!("p{p}")).map(|_| ()),
        Act::RemoveUnit(u) => database.remove_storage_unit(&format!("u{u}")).map(|_| ()),
        Act::RemoveGroup(g) => database.remove_storage_unit_group(&format!("u{g}")).map(|_| ()),
    }
}

fn act() -> impl Strategy<Value = Act> {
    let few = || 0..3u8;
    let some = || proptest::collection::vec(0..3u8, 0..3);
    prop_oneof![
        3 => few().prop_map(Act::AddMedia),
        3 => (few(), few()).prop_map(|(s, m)| Act::AddServer(s, m)),
        4 => (few(), few(), some()).prop_map(|(p, s, v)| Act::AddPool(p, s, v)),
        4 => (few(), few(), proptest::option::of(few())).prop_map(|(u, p, m)| Act::AddUnit(u, p, m)),
        3 => (few(), some()).prop_map(|(g, u)| Act::AddGroup(g, u)),
        1 => few().prop_map(Act::RemoveMedia),
        1 => few().prop_map(Act::RemoveServer),
        1 => few().prop_map(Act::RemovePool),
        1 => few().prop_map(Act::RemoveUnit),
        1 => few().prop_map(Act::RemoveGroup),
    ]
}

proptest! {
    #[test]
    fn it_allows_what_a_plain_model_allows_and_never_a_media_id_twice(
        acts in proptest::collection::vec(act(), 1..60)
    ) {
        let (mut database, mut model) = (Database::default(), Model::default());
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        for act in &acts {
            let before = database.clone();
            let result = act_on(&mut database, act);
            prop_assert_eq!(result.is_ok(), model.act(act), "{:?}: {:?}", act, result);
            prop_assert!(result.is_ok() || database == before, "a refused {:?} changed something", act);
            for pool in database.disk_pools().iter() {
                for volume in &pool.volumes {
                    let known = before.disk_pools().find(&pool.name).is_some();
                    let owner = format!("{} {}", pool.name, volume.report.name);
                    let again = seen.insert(volume.media_id.clone(), owner).is_some();
                    prop_assert!(known || !again, "{} is given out again", volume.media_id);
                }
            }
            let text = serde_json::to_string(&database).unwrap();
            let back: Database = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&back, &database);
        }
        prop_assert_eq!(database.media_servers().iter().count(), model.media.len());
        prop_assert_eq!(database.storage_units().iter().count(), model.units.len());
        prop_assert_eq!(database.storage_unit_groups().iter().count(), model.groups.len());
    }
}
