//! The names that a fault goes by: those that can never be right are refused with the one that was meant, those that
//! nothing has yet are pointed out.

use super::filter::TASK;
use super::{Effect, Fault, Plane};
use crate::core::Core;
use crate::net::vips::VipState;
use crate::s3::operation;
use crate::store::registry::text;
use crate::vms::resources;

/// Methods that VMS is asked with.
const METHODS: [&str; 7] = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"];
/// First segments of VMS paths that are no resources.
const LOGIN: &str = "token";

/// Says which of a fault's operations there are not, if any.
pub(super) fn check(fault: &Fault) -> Result<(), String> {
    let known = |name: &String| match fault.plane {
        Plane::S3 => s3(name),
        Plane::Vms => vms(name),
    };
    fault.operations.iter().try_for_each(known)?;
    let useless = fault.operations.iter().find(|o| !fault.effect.concerns(o));
    if let Some(operation) = useless {
        return Err(format!("effect {} does nothing to {operation}", fault.effect.name()));
    }
    let of_s3 = [
        ("bucket", &fault.bucket),
        ("key_prefix", &fault.key_prefix),
        ("key_glob", &fault.key_glob),
        ("vip", &fault.vip),
        ("cnode", &fault.cnode),
    ];
    match of_s3.iter().find(|(_, given)| fault.plane == Plane::Vms && given.is_some()) {
        Some((field, _)) => Err(format!("{field} has no meaning on the plane vms")),
        None => Ok(()),
    }
}

fn s3(name: &String) -> Result<(), String> {
    let names: Vec<&str> = operation::names().collect();
    if names.contains(&name.as_str()) {
        return Ok(());
    }
    let meant = nearest(name, &names).map(|meant| format!("; did you mean {meant}?"));
    Err(format!("there is no S3 operation {name:?}{}", meant.unwrap_or_default()))
}

fn vms(name: &String) -> Result<(), String> {
    if name.strip_prefix(TASK).is_some_and(|task| !task.is_empty()) {
        return Ok(());
    }
    let (method, path) = name.split_once(' ').unwrap_or(("", name));
    let kind = path.split('/').next().unwrap_or_default();
    let kinds: Vec<&str> = resources::kinds().chain([LOGIN]).collect();
    let meant_kind = if kinds.contains(&kind) { Some(kind) } else { nearest(kind, &kinds) };
    let meant_method = if METHODS.contains(&method) { Some(method) } else { nearest(method, &METHODS) };
    if (meant_method, meant_kind) == (Some(method), Some(kind)) && !path.ends_with('/') {
        return Ok(());
    }
    let mut why = format!(
        "there is no VMS operation {name:?}: it is a method and a path without numbers, as in GET views or POST users/access_keys"
    );
    if let Some(kind) = meant_kind {
        let rest = path.split_once('/').map(|(_, rest)| rest.trim_end_matches('/')).filter(|r| !r.is_empty());
        let rest = rest.map(|r| format!("/{r}")).unwrap_or_default();
        let method = meant_method.unwrap_or("GET");
        why = format!("{why}; did you mean {method} {kind}{rest}?");
    }
    Err(why)
}

/// The name that somebody who wrote this most likely meant.
fn nearest<'a>(given: &str, names: &[&'a str]) -> Option<&'a str> {
    let distance = |name: &str| strsim::damerau_levenshtein(&given.to_lowercase(), &name.to_lowercase());
    names.iter().copied().min_by_key(|n| distance(n)).filter(|n| distance(n) <= 1 + n.len() / 3)
}

/// What a fault names that nothing has: it hits nothing until something has that name.
pub(crate) fn doubts(core: &Core, fault: &Fault) -> Vec<String> {
    let mut doubts = Vec::new();
    let mut doubt = |what: &str, name: &Option<String>, names: Vec<String>| {
        let Some(name) = name.as_ref().filter(|n| !names.contains(n)) else { return };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let meant = nearest(name, &names).map(|meant| format!("; did you mean {meant}?"));
        doubts.push(format!("there is no {what} {name} yet{}", meant.unwrap_or_default()));
    };
    let (buckets, nodes) = core.store.read(|state| {
        let buckets: Vec<String> = state.buckets().keys().cloned().collect();
        let nodes: Vec<String> =
            state.vms.rows("cnodes").map(|(_, row)| text(row, "name").to_owned()).collect();
        (buckets, nodes)
    });
    doubt("bucket", &fault.bucket, buckets);
    let served = core.data_path.status().into_iter().filter(|v| v.state != VipState::OnPaper);
    doubt("VIP", &fault.vip, served.map(|v| v.ip.to_string()).collect());
    doubt("CNode", &fault.cnode, nodes.clone());
    if let Effect::VipMoved { to } = &fault.effect {
        doubt("CNode", &Some(to.clone()), nodes);
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_that_there_are_not_are_refused_with_the_one_that_was_meant() {
        for right in ["PutObject", "UploadPartCopy", "HeadBucket", "PostObject", "Other"] {
            Fault::s3(Effect::AnswerLost).on(right).check().unwrap();
        }
        for right in ["GET views", "POST users/access_keys", "POST token/refresh", "PATCH analytics"] {
            Fault::vms(Effect::AnswerLost).on(right).check().unwrap();
        }
        Fault::vms(Effect::TaskFailed { message: String::new() }).on("TASK vippool_delete").check().unwrap();
        let refused = |fault: Fault, why: &str| {
            let told = fault.check().unwrap_err();
            assert!(told.contains(why), "{told}");
        };
        let s3 = |operation| Fault::s3(Effect::AnswerLost).on(operation);
        refused(s3("putobject"), "did you mean PutObject?");
        refused(s3("PutObjekt"), "did you mean PutObject?");
        refused(s3("GET views"), "no S3 operation");
        let vms = |operation| Fault::vms(Effect::AnswerLost).on(operation);
        refused(vms("views"), "did you mean GET views?");
        refused(vms("get view"), "did you mean GET views?");
        refused(vms("POST user/access_keys/"), "did you mean POST users/access_keys?");
        refused(vms("PutObject"), "no VMS operation");
        refused(vms("TASK x"), "answer_lost does nothing to TASK x");
        refused(Fault::s3(Effect::QuotaFull { after_bytes: 0 }).on("GetObject"), "nothing to GetObject");
        refused(Fault::vms(Effect::AnswerLost).bucket("b"), "bucket has no meaning on the plane vms");
    }
}
