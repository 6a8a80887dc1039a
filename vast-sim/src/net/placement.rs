//! Which CNode serves which VIP: at home as long as home is well, else spread over those that are.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// How a CNode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Active,
    /// Taken out of service on purpose: what it serves ends politely.
    Drained,
    /// Dead: what it served is cut off.
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) health: Health,
    /// The fault that made it so.
    pub(crate) fault: Option<u64>,
}

/// A VIP that a pool asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) ip: IpAddr,
    pub(crate) pool: u64,
    /// The only nodes that may serve it; empty for all.
    pub(crate) nodes: Vec<u64>,
    /// Where a fault wants it: the fault and the node.
    pub(crate) moved: Option<(u64, u64)>,
}

/// Where a VIP is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) pool: u64,
    /// The node it returns to.
    pub(crate) home: u64,
    /// The node that serves it; none when no node can.
    pub(crate) node: Option<u64>,
}

/// Gives every VIP that is asked for its place.
pub(crate) fn place(
    nodes: &[Node],
    wanted: &[Wanted],
    before: &BTreeMap<IpAddr, Seat>,
) -> BTreeMap<IpAddr, Seat> {
    let mut seats: BTreeMap<IpAddr, Seat> = BTreeMap::new();
    let well = |id: u64| nodes.iter().any(|n| n.id == id && n.health == Health::Active);
    let allowed = |vip: &Wanted, id: u64| vip.nodes.is_empty() || vip.nodes.contains(&id);
    // Homes first: they do not depend on who is well today.
    for vip in wanted {
        let known =
            before.get(&vip.ip).filter(|s| nodes.iter().any(|n| n.id == s.home) && allowed(vip, s.home));
        let home = known.map(|s| s.home).or_else(|| {
            let load = |id: u64| {
                let waiting =
                    wanted.iter().filter_map(|w| before.get(&w.ip).filter(|_| !seats.contains_key(&w.ip)));
                seats.values().filter(|s| s.home == id).count() + waiting.filter(|s| s.home == id).count()
            };
            let able = nodes.iter().filter(|n| allowed(vip, n.id));
            able.min_by_key(|n| (load(n.id), n.id)).map(|n| n.id)
        });
        seats.insert(vip.ip, Seat { pool: vip.pool, home: home.unwrap_or(0), node: None });
    }
    for at_home in [true, false] {
        for vip in wanted {
            let seat = seats[&vip.ip];
            if seat.node.is_some() {
                continue;
            }
            let moved = vip.moved.map(|(_, node)| node).filter(|n| well(*n));
            let home = Some(seat.home).filter(|n| well(*n));
            let node = if at_home {
                moved.or(home)
            } else {
                let stays = before.get(&vip.ip).and_then(|s| s.node).filter(|n| well(*n) && allowed(vip, *n));
                stays.or_else(|| {
                    let load = |id: u64| seats.values().filter(|s| s.node == Some(id)).count();
                    let able = nodes.iter().filter(|n| well(n.id) && allowed(vip, n.id));
                    able.min_by_key(|n| (load(n.id), n.id)).map(|n| n.id)
                })
            };
            seats.insert(vip.ip, Seat { node, ..seat });
        }
    }
    seats
}

/// All addresses of `[first, last]` pairs; an error names the pair that is none.
pub(crate) fn expand(ranges: &[(String, String)], limit: usize) -> Result<Vec<IpAddr>, String> {
    let mut all = Vec::new();
    for (first, last) in ranges {
        let bad = |why: &str| format!("[{first}, {last}]: {why}");
        let parsed = (first.parse::<IpAddr>(), last.parse::<IpAddr>());
        let (Ok(first_ip), Ok(last_ip)) = parsed else { return Err(bad("two IP addresses are needed")) };
        let number = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => u128::from(u32::from(ip)),
            IpAddr::V6(ip) => u128::from(ip),
        };
        if first_ip.is_ipv4() != last_ip.is_ipv4() || number(first_ip) > number(last_ip) {
            return Err(bad("the first address must come before the last, of the same kind"));
        }
        if number(last_ip) - number(first_ip) >= (limit - all.len()) as u128 {
            return Err(bad(&format!("more than {limit} addresses")));
        }
        for n in number(first_ip)..=number(last_ip) {
            let ip = match (first_ip, u32::try_from(n)) {
                (IpAddr::V4(_), Ok(n)) => IpAddr::V4(n.into()),
                _ => IpAddr::V6(n.into()),
            };
            if !all.contains(&ip) {
                all.push(ip);
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(health: [Health; 3]) -> Vec<Node> {
        let node =
            |(n, health): (u64, Health)| Node { id: n, name: format!("cnode-{n}"), health, fault: None };
        (1..).zip(health).map(node).collect()
    }

    fn vips(n: u8) -> Vec<Wanted> {
        let vip = |n| Wanted { ip: [127, 0, 0, n].into(), pool: 1, nodes: Vec::new(), moved: None };
        (11..11 + n).map(vip).collect()
    }

    fn places(seats: &BTreeMap<IpAddr, Seat>) -> Vec<Option<u64>> {
        seats.values().map(|s| s.node).collect()
    }

    #[test]
    fn vips_leave_dead_nodes_spread_out_and_come_home() {
        use Health::{Active, Drained, Failed};
        let fresh = place(&nodes([Active; 3]), &vips(6), &BTreeMap::new());
        assert_eq!(places(&fresh), [1, 2, 3, 1, 2, 3].map(Some));
        let lost = place(&nodes([Active, Failed, Active]), &vips(6), &fresh);
        assert_eq!(places(&lost), [1, 1, 3, 1, 3, 3].map(Some));
        // Who has moved once stays until home is well again.
        let worse = place(&nodes([Active, Failed, Drained]), &vips(6), &lost);
        assert_eq!(places(&worse), [Some(1); 6]);
        assert_eq!(places(&place(&nodes([Failed; 3]), &vips(6), &worse)), [None; 6]);
        assert_eq!(place(&nodes([Active; 3]), &vips(6), &worse), fresh);
    }

    #[test]
    fn pools_and_faults_say_where() {
        let mut wanted = vips(4);
        wanted[0].nodes = vec![3];
        wanted[1].moved = Some((9, 3));
        let seats = place(&nodes([Health::Active; 3]), &wanted, &BTreeMap::new());
        assert_eq!(places(&seats), [3, 3, 2, 1].map(Some));
        assert_eq!(seats[&wanted[1].ip].home, 1);
    }

    #[test]
    fn ranges() {
        let range = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let some = expand(&[range("127.0.0.254", "127.0.1.1"), range("127.0.1.1", "127.0.1.1")], 64).unwrap();
        assert_eq!(some.len(), 4);
        assert_eq!(some[3].to_string(), "127.0.1.1");
        for (bad, why) in [
            (range("127.0.0.2", "127.0.0.1"), "before"),
            (range("127.0.0.2", "x"), "two IP addresses"),
            (range("::1", "127.0.0.1"), "same kind"),
            (range("10.0.0.0", "10.0.1.0"), "more than 64"),
        ] {
            assert!(expand(&[bad], 64).unwrap_err().contains(why), "{why}");
        }
    }
}
