//! What others have measured or predicted, row by row: within ten per cent, or the reason is named.

use checker::simulate::published::ROWS;

#[test]
fn every_published_figure_is_as_it_is_said_to_be() {
    for row in ROWS {
        let comparison = row.compare().unwrap_or_else(|error| panic!("{}: {error}", row.what));
        println!("{}: {:?}, here {:?}", row.what, comparison.published, comparison.simulated);
        assert!(comparison.is_as_said(), "{comparison:?}");
    }
}
