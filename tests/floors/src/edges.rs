//! Who depends on whom, and through which doors outside crates come in.

use crate::plan::{BASE_USES, CRATES, DOORS, EDGES, Floor, floor};

/// A crate of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its folder, from the root of the workspace.
    pub folder: String,
    /// What it uses.
    pub uses: Vec<Use>,
}

/// A dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Of which crate.
    pub name: String,
    /// For what.
    pub what_for: WhatFor,
    /// Whose it is.
    pub whose: Whose,
}

/// What a dependency is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhatFor {
    /// `[dependencies]` and `[build-dependencies]`.
    Code,
    /// `[dev-dependencies]`.
    Tests,
}

/// Whose a crate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// A member of the workspace.
    Ours,
    /// From outside.
    Outside,
}

/// Everything in which `crates` departs from the plan.
#[must_use]
pub fn check(crates: &[Crate]) -> Vec<String> {
    let mut faults = Vec::new();
    for member in crates {
        placed(member, &mut faults);
        for used in &member.uses {
            match used.whose {
                Whose::Ours => edge(member, used, &mut faults),
                Whose::Outside => door(member, used, &mut faults),
            }
        }
    }
    for (name, ..) in CRATES.iter().filter(|(name, ..)| !crates.iter().any(|member| member.name == *name)) {
        faults.push(format!(
            "{name} is in the plan but not in the workspace; take its lines out of tests/floors/src/plan.rs"
        ));
    }
    faults
}

fn placed(member: &Crate, faults: &mut Vec<String>) {
    let Crate { name, folder, .. } = member;
    match CRATES.iter().find(|(known, ..)| known == name) {
        None => faults.push(format!(
            "{name} in {folder} is not in the plan; give it a floor in tests/floors/src/plan.rs"
        )),
        Some((_, _, planned)) if planned != folder => {
            faults.push(format!(
                "{name} stands in {folder}, but the plan has it in {planned}; move it, or the plan"
            ));
        }
        Some(_) if folder.rsplit('/').next() != Some(name) => {
            faults.push(format!("{name} stands in {folder}; a folder has its crate's name"));
        }
        Some(_) => {}
    }
}

fn edge(member: &Crate, used: &Use, faults: &mut Vec<String>) {
    let (from, to) = (&*member.name, &*used.name);
    let bench = floor(from) == Some(Floor::Bench);
    if bench || EDGES.contains(&(from, to)) {
        return;
    }
    let way_out = match floor(to) {
        Some(Floor::Bench) => "nobody uses tests and tools; move what is needed down",
        Some(Floor::Bin) => "nobody uses programs; move what is needed down",
        Some(Floor::Base | Floor::Pure | Floor::Media | Floor::Hal) | None => {
            "speak through base, or add the edge to EDGES in tests/floors/src/plan.rs if the plan wants it"
        }
    };
    faults.push(format!("{from} ▶ {to} is no edge of the plan; {way_out}"));
}

fn door(member: &Crate, used: &Use, faults: &mut Vec<String>) {
    let (from, to) = (&*member.name, &*used.name);
    let in_code = used.what_for == WhatFor::Code;
    if floor(from) == Some(Floor::Base) && in_code && !BASE_USES.contains(&to) {
        faults.push(format!(
            "{from} ▶ {to}: base uses {} only; what needs more is no contract",
            BASE_USES.join(", ")
        ));
    }
    if let Some((_, through, why)) = DOORS.iter().find(|(outside, ..)| *outside == to)
        && !through.contains(&from)
    {
        let through = through.join(", ");
        faults.push(format!("{from} ▶ {to}: its door is {through} ({why}); use that crate, or open a door in tests/floors/src/plan.rs"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The planned workspace with `extra` uses of `of`.
    fn house(of: &str, extra: &[(&str, WhatFor, Whose)]) -> Vec<Crate> {
        let uses = |name: &str| {
            let planned = EDGES
                .iter()
                .filter(|(from, _)| *from == name)
                .map(|(_, to)| (*to, WhatFor::Code, Whose::Ours));
            let extra = extra.iter().copied().filter(|_| name == of);
            planned
                .chain(extra)
                .map(|(name, what_for, whose)| Use { name: name.to_owned(), what_for, whose })
                .collect()
        };
        let one = |(name, _, folder): &(&str, Floor, &str)| Crate {
            name: (*name).to_owned(),
            folder: (*folder).to_owned(),
            uses: uses(name),
        };
        CRATES.iter().map(one).collect()
    }

    #[test]
    fn the_planned_house_stands() {
        assert_eq!(check(&house("", &[])), Vec::<String>::new());
    }

    #[test]
    fn a_wing_that_sees_another_wing_is_found() {
        for (from, to) in
            [("domain", "sip"), ("sip", "domain"), ("sdp", "rtp"), ("base", "rtp"), ("media-dsp", "domain")]
        {
            for what_for in [WhatFor::Code, WhatFor::Tests] {
                let faults = check(&house(from, &[(to, what_for, Whose::Ours)]));
                assert_eq!(faults.len(), 1, "{faults:?}");
                assert!(
                    faults[0]
                        .starts_with(&format!("{from} ▶ {to} is no edge of the plan; speak through base")),
                    "{faults:?}"
                );
            }
        }
    }

    #[test]
    fn whoever_uses_a_program_or_a_test_is_found() {
        let faults = check(&house("domain", &[("gatewayd", WhatFor::Code, Whose::Ours)]));
        assert!(faults[0].contains("nobody uses programs"), "{faults:?}");
        let faults = check(&house("gatewayd", &[("meet-sim", WhatFor::Tests, Whose::Ours)]));
        assert!(faults[0].contains("nobody uses tests and tools"), "{faults:?}");
        assert!(
            check(&house("e2e", &[("meet-sim", WhatFor::Code, Whose::Ours)])).is_empty(),
            "tests may see all"
        );
    }

    #[test]
    fn an_outside_crate_that_comes_in_by_another_door_is_found() {
        for (from, to) in [
            ("sdp", "rsip"),
            ("meet", "str0m"),
            ("domain", "tokio"),
            ("sip", "nix"),
            ("media-dsp", "opus"),
            ("domain", "anyhow"),
        ] {
            let faults = check(&house(from, &[(to, WhatFor::Code, Whose::Outside)]));
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].starts_with(&format!("{from} ▶ {to}: its door is ")), "{faults:?}");
        }
    }

    #[test]
    fn base_stays_small() {
        let faults = check(&house("base", &[("regex", WhatFor::Code, Whose::Outside)]));
        assert_eq!(faults, ["base ▶ regex: base uses bytes, thiserror only; what needs more is no contract"]);
    }

    #[test]
    fn a_crate_that_is_not_in_the_plan_or_stands_elsewhere_is_found() {
        let mut crates = house("", &[]);
        crates[1].folder = "firmware/rtp".to_owned();
        crates[2].name = "sdp2".to_owned();
        let faults = check(&crates).join("\n");
        assert!(
            faults.contains("rtp stands in firmware/rtp, but the plan has it in firmware/proto/rtp"),
            "{faults}"
        );
        assert!(faults.contains("sdp2 in firmware/proto/sdp is not in the plan"), "{faults}");
        assert!(faults.contains("sdp is in the plan but not in the workspace"), "{faults}");
    }
}
