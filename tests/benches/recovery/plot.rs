//! Lines against loss, as SVG.

use kuva::backend::svg::SvgBackend;
use kuva::plot::{LegendPosition, LinePlot};
use kuva::render::layout::{Layout, TickFormat};
use kuva::render::plots::Plot;
use kuva::render::render::render_multiple;

/// How a line looks: rows whose names begin so.
struct Look {
    row: &'static str,
    label: &'static str,
    /// Of Okabe and Ito's palette, which is told apart with every kind of colour vision; grey for what is no protocol.
    color: &'static str,
    width: f64,
    dashed: bool,
}

const fn look(row: &'static str, label: &'static str, color: &'static str, width: f64, dashed: bool) -> Look {
    Look { row, label, color, width, dashed }
}

/// A plot.
pub(crate) struct Chart {
    /// Its file in the documentation's folder.
    pub(crate) file: &'static str,
    title: &'static str,
    y_label: &'static str,
    log: bool,
    looks: &'static [Look],
}

/// Latency of telemetry.
pub(crate) const LATENCY: Chart = Chart {
    file: "recovery-latency.svg",
    title: "Telemetry: 64 bytes every 10 ms, 25 ms each way",
    y_label: "in-order delivery latency, 99th percentile, ms",
    log: true,
    looks: &[
        look("smoltcp TCP, 16 KiB", "smoltcp TCP", "#D55E00", 2.0, false),
        look("ENet", "ENet", "#CC79A7", 2.0, false),
        look("KCP, fastest", "KCP, fastest mode", "#009E73", 2.0, false),
        look("quinn (sealed)", "QUIC (quinn)", "#E69F00", 2.0, false),
        look("whimbrel", "Whimbrel, nothing repeated", "#56B4E9", 3.5, false),
        look("whimbrel, adaptive", "Whimbrel, adaptive repeats", "#0072B2", 3.5, false),
        look("yardstick, 2 repeated", "ideal, 2 repeated", "#777777", 1.5, true),
        look("limit", "the link itself", "#222222", 1.5, true),
    ],
};

/// Goodput of bulk.
pub(crate) const GOODPUT: Chart = Chart {
    file: "recovery-goodput.svg",
    title: "Bulk: 1 MiB in 256-byte messages over 1 Mbit/s",
    y_label: "payload over the bottleneck's rate",
    log: false,
    looks: &[
        look("limit, plain packets", "limit", "#222222", 1.5, true),
        look("whimbrel, 32 KiB", "Whimbrel, 32 KiB", "#0072B2", 3.5, false),
        look("whimbrel, 8 KiB", "Whimbrel, 8 KiB", "#56B4E9", 3.5, false),
        look("quinn (sealed)", "QUIC (quinn)", "#E69F00", 2.0, false),
        look("KCP, fastest", "KCP, fastest mode", "#009E73", 2.0, false),
        look("ENet", "ENet", "#CC79A7", 2.0, false),
        look("smoltcp TCP, 16 KiB", "smoltcp TCP, 16 KiB", "#D55E00", 2.0, false),
    ],
};

impl Chart {
    /// The chart with what was measured: for each row its values against loss in percent.
    pub(crate) fn draw(&self, rows: &[(&str, Vec<(f64, f64)>)]) -> String {
        let line = |look: &Look| {
            let (_, values) = rows.iter().find(|(name, _)| *name == look.row)?;
            let line = LinePlot::new().with_data(values.iter().copied()).with_color(look.color);
            let line = line.with_stroke_width(look.width).with_legend(look.label);
            Some(Plot::Line(if look.dashed { line.with_dashed() } else { line }))
        };
        let plots: Vec<_> = self.looks.iter().filter_map(line).collect();
        let layout = Layout::auto_from_plots(&plots)
            .with_title(self.title)
            .with_x_label("packets lost in each direction, %")
            .with_y_label(self.y_label)
            .with_x_axis_min(0.0)
            .with_x_axis_max(20.0)
            .with_x_tick_step(5.0)
            .with_width(760.0)
            .with_height(460.0)
            .with_legend_position(LegendPosition::OutsideRightTop);
        let layout = if self.log {
            layout.with_log_y().with_y_axis_min(20.0).with_y_tick_format(TickFormat::Integer)
        } else {
            layout
                .with_y_axis_min(0.0)
                .with_y_axis_max(1.0)
                .with_y_tick_step(0.2)
                .with_y_tick_format(TickFormat::Fixed(1))
        };
        SvgBackend.render_scene(&render_multiple(plots, layout))
    }
}
