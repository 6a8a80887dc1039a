//! The bench's figures for people.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::Figures;

/// One row per measurement.
pub fn table(figures: &Figures, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.force_no_tty().set_width(width.unwrap_or(150));
    table.set_header([
        "plug-in",
        "what",
        "streams",
        "GB/s",
        "plain HTTP GB/s",
        "ratio",
        "requests/GiB",
        "bptm peak MiB",
    ]);
    for figure in &figures.figures {
        table.add_row([
            figure.plugin.clone(),
            figure.kind.to_owned(),
            figure.streams.to_string(),
            format!("{:.2}", figure.bytes_per_second / 1e9),
            format!("{:.2}", figure.control_bytes_per_second / 1e9),
            format!("{:.2}", figure.ratio),
            format!("{:.1}", figure.requests_per_gib),
            (figure.bptm_peak_bytes >> 20).to_string(),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!(
        "{table}\nmedian of {} rounds of {} MiB; the ratio compares with plain HTTP over as many connections, measured \
         in the same round",
        figures.rounds,
        figures.bytes >> 20
    )
}
