//! Makes a failing storm smaller while it still fails.

use super::class::{Class, Cuts};
use super::draw::draw;
use super::verdict::judge;

/// Half of the messages so often at most.
const HALVINGS_MAX: u32 = 7;

/// The smallest variant found in which something still fails: one thing after the other is left out, as long as
/// that keeps it failing. Whatever fails counts, for a smaller failure tells more than the same one.
pub fn shrink(seed: u64, cuts: &Cuts) -> Cuts {
    let mut best = cuts.clone();
    loop {
        let before = best.clone();
        for variant in variants(seed, &best) {
            // One that an earlier success already has, or that still fails.
            if variant(&best).is_some_and(|smaller| fails(seed, &smaller, &mut best)) {
                continue;
            }
        }
        if best == before {
            return best;
        }
    }
}

fn fails(seed: u64, smaller: &Cuts, best: &mut Cuts) -> bool {
    let failed = judge(seed, smaller, 0).is_err();
    if failed {
        best.clone_from(smaller);
    }
    failed
}

type Variant = Box<dyn Fn(&Cuts) -> Option<Cuts>>;

/// Smaller ones, the boldest first.
fn variants(seed: u64, cuts: &Cuts) -> Vec<Variant> {
    let plan = draw(seed).cut(cuts);
    let (devices, turns) = (plan.setup.devices.len(), plan.turns.len());
    let mut variants: Vec<Variant> = Vec::new();
    for fewer in [1, devices / 2, devices.saturating_sub(1)] {
        variants.push(Box::new(move |cuts| {
            let less = fewer >= 1 && fewer < cuts.devices.unwrap_or(devices);
            less.then(|| Cuts { devices: Some(fewer), ..cuts.clone() })
        }));
    }
    for fewer in [0, turns / 4, turns / 2, turns.saturating_sub(2), turns.saturating_sub(1)] {
        variants.push(Box::new(move |cuts| {
            let less = fewer < cuts.turns.unwrap_or(turns);
            less.then(|| Cuts { turns: Some(fewer), ..cuts.clone() })
        }));
    }
    for fewer in [1, 2] {
        variants.push(Box::new(move |cuts| {
            let less = fewer < cuts.channels.unwrap_or(usize::MAX);
            less.then(|| Cuts { channels: Some(fewer), ..cuts.clone() })
        }));
    }
    for class in Class::ALL {
        variants.push(Box::new(move |cuts| {
            let mut without = cuts.without.clone();
            without.push(class);
            (!cuts.leaves_out(class)).then(|| Cuts { without, ..cuts.clone() })
        }));
    }
    for step in [3, 1] {
        variants.push(Box::new(move |cuts| {
            let halvings = cuts.halvings + step;
            (halvings <= HALVINGS_MAX).then(|| Cuts { halvings, ..cuts.clone() })
        }));
    }
    variants
}
