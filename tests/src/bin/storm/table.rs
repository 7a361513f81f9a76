//! The counts, for a reader or for a program.

use serde_json::{Map, Value, json};
use whimbrel_tests::oracle::Fates;
use whimbrel_tests::storm::Counts;

const COLUMNS: [&str; 7] = ["accepted", "delivered", "expired", "superseded", "lost", "misfits", "in doubt"];

pub(crate) fn print(counts: &Counts, json: bool) {
    if json {
        println!("{:#}", to_json(counts));
        return;
    }
    let Counts { storms, devices, seconds, datagrams, arrived, refused, reconnects, slowest, .. } = *counts;
    println!("{:<26}{:>14}", "storms", storms);
    println!("{:<26}{:>14}", "devices", devices);
    println!("{:<26}{:>14}", "virtual seconds", seconds);
    println!("{:<26}{:>14}", "datagrams sent", datagrams);
    println!("{:<26}{:>14}", "datagrams arrived", arrived);
    println!("{:<26}{:>14}", "sessions opened anew", reconnects);
    println!("{:<26}{:>14}", "refused as full", refused);
    println!("{:<26}{:>13}%", "slowest calm, of its bound", slowest);
    println!("\ninjected");
    for (name, count) in Counts::INJECTED.iter().zip(counts.injected) {
        println!("  {name:<24}{count:>14}");
    }
    print!("\n{:<18}", "messages");
    COLUMNS.iter().for_each(|name| print!("{name:>12}"));
    println!();
    for (name, fates) in Counts::MODES.iter().zip(&counts.fates) {
        print!("  {name:<16}");
        columns(fates).iter().for_each(|count| print!("{count:>12}"));
        println!();
    }
}

const fn columns(fates: &Fates) -> [u64; 7] {
    [fates.accepted, fates.delivered, fates.expired, fates.superseded, fates.lost, fates.left_out, fates.open]
}

fn to_json(counts: &Counts) -> Value {
    let object = |names: &[&str], values: &[u64]| -> Map<String, Value> {
        names.iter().zip(values).map(|(name, value)| (name.replace(' ', "_"), json!(value))).collect()
    };
    let modes = Counts::MODES.iter().zip(&counts.fates);
    let modes: Map<_, _> =
        modes.map(|(name, fates)| (name.replace(' ', "_"), object(&COLUMNS, &columns(fates)).into())).collect();
    json!({
        "storms": counts.storms,
        "devices": counts.devices,
        "virtual_seconds": counts.seconds,
        "datagrams_sent": counts.datagrams,
        "datagrams_arrived": counts.arrived,
        "sessions_opened_anew": counts.reconnects,
        "refused_as_full": counts.refused,
        "slowest_calm_percent_of_bound": counts.slowest,
        "injected": object(&Counts::INJECTED, &counts.injected),
        "messages": modes,
    })
}
