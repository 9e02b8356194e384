//! What once went wrong, each told by what its users saw.

use support::TestDatabase;

use crate::common::json;

/// `log` showed the run before the last when both began within one second: their names are random.
#[test]
fn the_newest_log_is_that_of_the_last_run_also_within_a_second() {
    let database = TestDatabase::populated(182);
    for version in 2..=7 {
        let target = version.to_string();
        let answer = json(&database, &["migrate", "--no-backup", "--to", &target]);
        let newest = json(&database, &["log"]);
        assert_eq!(newest["file"], answer["log"], "after V00{version}");
        assert_eq!(newest["events"][0]["run"], answer["run"]);
    }
}
