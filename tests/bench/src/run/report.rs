//! The tables, and the same as JSON.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::idle::Idle;
use super::measure::{Measure, Row, Sample, median};
use super::table::Table;
use super::{Options, Results};
use crate::peer::Peer;

/// Differences below this share are noise on a virtual machine.
const TIE: f64 = 0.15;

/// Prints everything that was measured.
pub(super) fn print(options: &Options, results: &Results) {
    println!(
        "\nWebSockets through a proxy on one core: wss (TLS 1.3, AES-128-GCM, ECDSA P-256, X25519) \
         to the clients,\nws to the application; {} rounds of {} s each in turn; medians.\n",
        options.rounds, options.seconds
    );
    for (peer, version) in &results.entrants {
        println!("  {:10} {version}", peer.name());
    }
    for (peer, reason) in &results.missing {
        println!("  {:10} left out: {reason}", peer.name());
    }

    section(
        "CPU time of the proxy, µs per round trip or connection (ratio to the best rival)",
        &by_measure(results, |rows, row| {
            let median = median(row.1.iter().map(Sample::cost));
            format!(
                "{}{}",
                digits(median),
                ratio_to_best_rival(rows, row, Sample::cost)
            )
        }),
    );
    println!(
        "  64 B: 100 clients with one message under way each. ×16: with 16. 16 KiB: 50 clients.\n  \
         handshake: TCP, TLS, upgrade, Close, end. resumed: the same with a TLS ticket.\n  \
         A ratio is the median of the ratios within each round. \"=\": less than 15 % apart, a tie."
    );
    section(
        "Round trips or connections per second, closed loop",
        &by_measure(results, |_, row| {
            digits(median(row.1.iter().map(Sample::rate)))
        }),
    );
    section(
        "Latency in that loop, µs: p50 / p99",
        &by_measure(results, |_, row| {
            let p50 = median(row.1.iter().map(|sample| sample.outcome.p50_us));
            let p99 = median(row.1.iter().map(|sample| sample.outcome.p99_us));
            format!("{} / {}", digits(p50), digits(p99))
        }),
    );
    section(
        "Share of a core in use, %: proxy | load generator + application",
        &by_measure(results, |_, (_, samples)| {
            let share = |of: fn(&Sample) -> u64| {
                median(samples.iter().map(|sample| sample.share(of(sample))))
            };
            format!(
                "{:.0} | {:.0} + {:.0}",
                share(|sample| sample.proxy_ns),
                share(|sample| sample.outcome.cpu_ns),
                share(|sample| sample.application_ns)
            )
        }),
    );
    print_bottleneck(results);
    print_second_core(results);
    print_idle(results);
    print_noise(results);
}

/// Prints a heading and a table, unless there is nothing in it.
fn section(heading: &str, table: &Table) {
    if !table.is_empty() {
        println!("\n{heading}\n");
        print!("{table}");
    }
}

/// A table with a row per peer and a column per measure.
fn by_measure(results: &Results, cell: impl Fn(&[Row], &Row) -> String) -> Table {
    let labels = results.samples.iter().map(|(measure, _)| measure.label());
    let mut table = Table::new([""].into_iter().chain(labels));
    for (peer, _) in &results.entrants {
        let cells: Vec<String> = results
            .samples
            .iter()
            .map(|(_, rows)| match rows.iter().find(|(of, _)| of == peer) {
                Some(row) if !row.1.is_empty() => cell(rows, row),
                _ => "–".to_owned(),
            })
            .collect();
        if cells.iter().any(|cell| cell != "–") {
            table.row([vec![peer.name().to_owned()], cells].concat());
        }
    }
    table
}

/// The rival with the lowest median.
fn best_rival(rows: &[Row], value: fn(&Sample) -> f64) -> Option<&Row> {
    let of = |row: &&Row| median(row.1.iter().map(value));
    let rivals = rows
        .iter()
        .filter(|(peer, samples)| peer.is_rival() && !samples.is_empty());
    rivals.min_by(|one, other| of(one).total_cmp(&of(other)))
}

/// Compared round by round: what the machine did in a round, it did to both.
fn ratio_to_best_rival(rows: &[Row], row: &Row, value: fn(&Sample) -> f64) -> String {
    let Some(best) = best_rival(rows, value).filter(|_| row.0 != Peer::None) else {
        return String::new();
    };
    let pairs = row.1.iter().zip(&best.1);
    mark(
        median(pairs.map(|(sample, best)| value(sample) / value(best))),
        row.0 == best.0,
    )
}

/// A ratio in parentheses, with a sign behind it for a tie.
fn mark(ratio: f64, is_best: bool) -> String {
    let tie = if !is_best && (ratio - 1.0).abs() < TIE {
        '='
    } else {
        ' '
    };
    format!(" ({ratio:.2}){tie}")
}

/// Three significant digits, or all before the point.
fn digits(value: f64) -> String {
    match value {
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

/// Says whether the proxies were the bottleneck, and what follows if not.
fn print_bottleneck(results: &Results) {
    let rows = || results.samples.iter().flat_map(|(_, rows)| rows);
    let has_a_core = |(peer, samples): &&Row| {
        !matches!(peer, Peer::None | Peer::BatondTwo) && !samples.is_empty()
    };
    let proxied = || rows().filter(has_a_core);
    let least = |of: fn(&Sample) -> f64| {
        let medians = proxied().map(|(_, samples)| median(samples.iter().map(of)));
        medians.fold(f64::INFINITY, f64::min)
    };
    let proxy = |sample: &Sample| sample.share(sample.proxy_ns);
    let fuller = |sample: &Sample| {
        let others = sample.outcome.cpu_ns + sample.application_ns;
        sample.share(others.max(sample.proxy_ns))
    };
    if least(proxy) >= 95.0 {
        println!("  Every proxy had its core full: the rates are what it can do.");
        return;
    }
    println!(
        "  Where a proxy's core was not full (95 %), it was not the limit: compare CPU time, not rates."
    );
    if least(fuller) < 85.0 {
        println!(
            "  Sometimes neither core was full: other programs ran, or both sides waited for each other."
        );
    }
}

/// What two workers on two cores take for the same work. Both cores also carry the load, so rates
/// say nothing; CPU time does, which is where contention between workers would show.
fn print_second_core(results: &Results) {
    for (measure, rows) in &results.samples {
        let of = |wanted| rows.iter().find(|(peer, _)| *peer == wanted);
        let (Some((_, one)), Some((_, two))) = (of(Peer::Batond), of(Peer::BatondTwo)) else {
            continue;
        };
        let pairs = one.iter().zip(two);
        let ratio = median(pairs.map(|(one, two)| two.cost() / one.cost()));
        if ratio.is_finite() {
            println!(
                "  {}: with two workers on two cores a unit takes {ratio:.2} times the CPU time, so the \
                 second\n  core gives up to {:.2} times the throughput.",
                measure.label(),
                2.0 / ratio
            );
        }
    }
}

fn print_idle(results: &Results) {
    let Some((_, first)) = results.idle.first() else {
        return;
    };
    let rivals = || results.idle.iter().filter(|(peer, _)| peer.is_rival());
    let least = |of: fn(&Idle) -> f64| rivals().map(|(_, idle)| of(idle)).fold(f64::NAN, f64::min);
    let cell = |idle: &Idle, of: fn(&Idle) -> f64| {
        let (value, least) = (of(idle), least(of));
        let mark = if least.is_nan() {
            String::new()
        } else {
            mark(value / least, value == least)
        };
        format!("{value:.0}{mark}")
    };
    let connected: fn(&Idle) -> f64 = |idle| idle.per_client(idle.connected);
    let used: fn(&Idle) -> f64 = |idle| idle.per_client(idle.used);
    let mut table = Table::new(["", "never spoke", "has spoken", "given back, %"]);
    for (peer, idle) in &results.idle {
        table.row(vec![
            peer.name().to_owned(),
            cell(idle, connected),
            cell(idle, used),
            format!("{:.0}", idle.given_back()),
        ]);
    }
    let heading = format!(
        "User memory per idle wss client at {} clients, bytes (ratio to the best rival)",
        first.clients
    );
    section(&heading, &table);

    let mut table = Table::new(["", "100 connected", "many, same active", "many, in turn"]);
    for (peer, idle) in &results.idle {
        let base = |round: &super::idle::Flatness| round.few.cost();
        let many = median(
            idle.flatness
                .iter()
                .map(|round| round.many.cost() / base(round)),
        );
        let turn = median(
            idle.flatness
                .iter()
                .map(|round| round.in_turn.cost() / base(round)),
        );
        let of = |cost: fn(&super::idle::Flatness) -> f64| {
            digits(median(idle.flatness.iter().map(cost)))
        };
        table.row(vec![
            peer.name().to_owned(),
            of(|round| round.few.cost()),
            format!("{}{}", of(|round| round.many.cost()), mark(many, false)),
            format!("{}{}", of(|round| round.in_turn.cost()), mark(turn, false)),
        ]);
    }
    let heading = format!(
        "CPU time of the proxy per 64-byte round trip, µs, when {} clients are connected (ratio to 100)",
        first.clients
    );
    section(&heading, &table);
    println!(
        "  \"in turn\": every client speaks once before any speaks again, so caches do not help."
    );
    for (peer, idle) in &results.idle {
        if let Some(told) = &idle.broadcast {
            println!(
                "\nBroadcast: {} told all {} idle clients to leave in {:.2} s of CPU time, {:.1} µs each\n\
                 ({:.2} s by the clock, the clients' own work included).",
                peer.name(),
                told.outcome.units,
                told.proxy_ns as f64 / 1e9,
                told.cost(),
                told.outcome.seconds
            );
        }
    }
}

/// How much the machine itself changed, and what broke.
fn print_noise(results: &Results) {
    println!();
    for (measure, rows) in &results.samples {
        let failed: u64 = rows
            .iter()
            .flat_map(|(_, samples)| samples)
            .map(|sample| sample.outcome.failed)
            .sum();
        if failed > 0 {
            println!(
                "{}: {failed} connections failed and are in no figure",
                measure.label()
            );
        }
    }
    let spreads = results
        .samples
        .iter()
        .flat_map(|(_, rows)| rows)
        .filter_map(|(_, samples)| {
            let costs = samples.iter().map(Sample::cost);
            let least = costs.clone().fold(f64::INFINITY, f64::min);
            let most = costs.fold(0.0, f64::max);
            (samples.len() > 1).then_some(most / least)
        });
    let spread = median(spreads);
    if spread.is_finite() {
        println!(
            "Noise: between its dearest and its cheapest round, a figure varied by a factor of {spread:.2} \
             (median of all).\nDifferences under 15 % are ties on a virtual machine."
        );
    }
}

/// Writes every sample of every round.
pub(super) fn write_json(path: &Path, options: &Options, results: &Results) -> Result<()> {
    let measures: Vec<Value> = results
        .samples
        .iter()
        .map(|(measure, rows)| json!({ "measure": measure, "peers": peers(*measure, rows) }))
        .collect();
    let idle: Vec<Value> = results
        .idle
        .iter()
        .map(|(peer, idle)| {
            json!({
                "peer": peer,
                "bytes_per_client": idle.per_client(idle.connected),
                "bytes_per_client_used": idle.per_client(idle.used),
                "given_back_percent": idle.given_back(),
                "raw": idle,
            })
        })
        .collect();
    let named = |list: &[(Peer, String)], key: &str| -> Vec<Value> {
        list.iter()
            .map(|(peer, text)| json!({ "peer": peer, key: text }))
            .collect()
    };
    let all = json!({
        "rounds": options.rounds,
        "seconds": options.seconds,
        "entrants": named(&results.entrants, "version"),
        "missing": named(&results.missing, "reason"),
        "measures": measures,
        "idle": idle,
    });
    let text = serde_json::to_string_pretty(&all)? + "\n";
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn peers(measure: Measure, rows: &[Row]) -> Vec<Value> {
    let best = best_rival(rows, Sample::cost);
    rows.iter()
        .map(|(peer, samples)| {
            let ratio = best.map(|(_, best)| {
                let pairs = samples.iter().zip(best);
                median(pairs.map(|(sample, best)| sample.cost() / best.cost()))
            });
            json!({
                "peer": peer,
                "unit": if matches!(measure, Measure::Full | Measure::Resumed) { "connection" } else { "round trip" },
                "cpu_us_per_unit": median(samples.iter().map(Sample::cost)),
                "ratio_to_best_rival": ratio,
                "units_per_second": median(samples.iter().map(Sample::rate)),
                "samples": samples,
            })
        })
        .collect()
}
