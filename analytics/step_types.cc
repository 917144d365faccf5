#include "analytics/step_types.h"

namespace sluice::analytics {
namespace {

/// Every step has it.
constexpr Key input_key{.name = "input",
                        .type = KeyType::Text,
                        .meaning =
                            "The step whose rows it gets; without it the one before, or the "
                            "events of the channel."};

/// Every step that keeps groups has it.
constexpr Key state_bytes_key{
    .name = "maxStateBytes",
    .type = KeyType::Bytes,
    .default_value = "1G",
    .meaning =
        "Memory that the step keeps at most; behind that rows of further keys go into "
        "(other), values that need room are left out, and both are counted.",
    .min = 64 * 1024};

constexpr Key parse_keys[] = {
    input_key,
    {.name = "format",
     .type = KeyType::Choice,
     .meaning = "How records are written.",
     .required = true,
     .choices = "text json csv tsv kv logfmt combined clf regex"},
    {.name = "fields",
     .type = KeyType::Text,
     .meaning = "Fields of a record, name:type each; types are text (without one), int, double, "
                "bool. Access logs have theirs."},
    {.name = "extra",
     .type = KeyType::Text,
     .meaning = "Fields behind those of an access log, name:type each."},
    {.name = "extra.*", .type = KeyType::Text, .meaning = "extra.<name> = <type>: the same."},
    {.name = "pattern", .type = KeyType::Text, .meaning = "With regex: what a record matches."},
    {.name = "delimiter",
     .type = KeyType::Text,
     .default_value = ",",
     .meaning = "With csv: one character between fields."},
    {.name = "pairSeparator",
     .type = KeyType::Text,
     .meaning = "With kv: what stands between pairs; without it a blank."},
    {.name = "keyValueSeparator",
     .type = KeyType::Text,
     .default_value = "=",
     .meaning = "With kv: what stands between key and value."},
    {.name = "from",
     .type = KeyType::Text,
     .default_value = "body",
     .meaning = "The column that holds the record."},
    {.name = "keep",
     .type = KeyType::List,
     .meaning = "Columns of the input that stay; the others make room for the fields."},
    {.name = "onError",
     .type = KeyType::Choice,
     .default_value = "drop",
     .meaning = "What becomes of a record that cannot be read: it is left out and counted, or kept "
                "as a row of nulls and counted. Where NAME.bad is an input, it goes there.",
     .choices = "drop keep"},
};

constexpr Key split_keys[] = {
    input_key,
    {.name = "on",
     .type = KeyType::Text,
     .default_value = "space",
     .meaning = "Where to cut: space, whitespace, ascii-word, unicode-word, regex:<expression>, or "
                "the text between words."},
    {.name = "from",
     .type = KeyType::Text,
     .default_value = "body",
     .meaning = "The column with the text."},
    {.name = "as",
     .type = KeyType::Text,
     .default_value = "word",
     .meaning = "What the word is called; it takes the place of the text."},
    {.name = "lower",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "A-Z become a-z first."},
    {.name = "trailingEmpty",
     .type = KeyType::Boolean,
     .default_value = "true",
     .meaning = "Where empty words are kept: those at the end too, as in Python; Java drops them."},
};

constexpr Key map_keys[] = {
    input_key,
    {.name = "set.*",
     .type = KeyType::Text,
     .meaning = "set.<column> = <expression>: adds or replaces a column; later ones see it."},
    {.name = "rename.*", .type = KeyType::Text, .meaning = "rename.<old> = <new>, behind all set."},
    {.name = "drop", .type = KeyType::List, .meaning = "Columns that go, behind all set."},
};

constexpr Key filter_keys[] = {
    input_key,
    {.name = "where",
     .type = KeyType::Text,
     .meaning = "A condition; rows for which it is not true are left out.",
     .required = true},
};

constexpr Key window_keys[] = {
    input_key,
    {.name = "kind",
     .type = KeyType::Choice,
     .default_value = "time",
     .meaning = "time: windows of a length, every slide. session: rows of a key that follow on one "
                "another within a gap. count: so many rows of a key.",
     .choices = "time session count"},
    {.name = "length",
     .type = KeyType::Millis,
     .meaning = "With time: how long a window is; required.",
     .min = 50},
    {.name = "slide",
     .type = KeyType::Millis,
     .meaning = "With time: how often there is a window; without it one begins where the last one "
                "ends.",
     .min = 50},
    {.name = "gap",
     .type = KeyType::Millis,
     .meaning = "With session: how long a key is silent before its next session; required.",
     .min = 1},
    {.name = "rows",
     .type = KeyType::Integer,
     .meaning = "With count: how many rows of a key a window has; required.",
     .min = 1,
     .max = 1'000'000'000},
    {.name = "slideRows",
     .type = KeyType::Integer,
     .meaning = "With count: after how many rows of a key there is a window; without it one begins "
                "where the last one ends.",
     .min = 1,
     .max = 1'000'000'000},
    {.name = "offset",
     .type = KeyType::Millis,
     .default_value = "0",
     .meaning = "Windows end so much after multiples of slide since 1970; for days of a time zone.",
     .min = 0},
    {.name = "keepZero",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "With processing: keys that left the window stay, with a count of 0, as with the "
                "inverse function of Spark's reduceByKeyAndWindow."},
    {.name = "time",
     .type = KeyType::Choice,
     .default_value = "processing",
     .meaning =
         "processing: rows belong to the time when they came. event: to the time they carry.",
     .choices = "processing event"},
    {.name = "timestamp",
     .type = KeyType::Text,
     .default_value = "int(header('timestamp'))",
     .meaning = "With event: an expression for the row's time in milliseconds since 1970."},
    {.name = "delay",
     .type = KeyType::Millis,
     .default_value = "0",
     .meaning = "With event: how far rows may be out of order before they are late.",
     .min = 0},
    {.name = "late",
     .type = KeyType::Choice,
     .default_value = "drop",
     .meaning = "With event: rows of windows that were passed on are left out and counted, or make "
                "them be passed on again, updated. Where NAME.late is an input, NAME being the "
                "aggregation, those that are left out go there; channel is as drop, and says that "
                "there must be such an input.",
     .choices = "drop update channel"},
    {.name = "updateFor",
     .type = KeyType::Millis,
     .meaning = "With late = update: so long after the end of a window; without it one length.",
     .min = 0},
    {.name = "maxFuture",
     .type = KeyType::Millis,
     .default_value = "1h",
     .meaning = "With event: rows further ahead of the clock are left out and counted, lest one "
                "wrong clock makes all others late.",
     .min = 0},
};

constexpr Key aggregate_keys[] = {
    input_key,
    {.name = "by",
     .type = KeyType::List,
     .meaning = "Columns whose values make a group; without them all rows are one."},
    {.name = "agg.*",
     .type = KeyType::Text,
     .meaning = "agg.<name> = count(), sum(x), min, max, avg, var, stddev, first, last, "
                "collect(x, n), distinct(x), quantile(x, q), rate()."},
    {.name = "maxKeys",
     .type = KeyType::Integer,
     .default_value = "2000000",
     .meaning =
         "Groups at most; rows of further keys go into one, called (other), and are counted.",
     .min = 1,
     .max = 1'000'000'000},
    state_bytes_key,
};

constexpr Key state_keys[] = {
    input_key,
    {.name = "mode",
     .type = KeyType::Choice,
     .default_value = "running",
     .meaning = "running: every batch has all keys. changes: those that came in it.",
     .choices = "running changes"},
    {.name = "merge.*",
     .type = KeyType::Text,
     .meaning = "merge.<column> = sum, min, max, last, first: how its values go together. The "
                "other columns are the key."},
    {.name = "initial",
     .type = KeyType::Path,
     .meaning = "A CSV file without a header: the columns of the input, which the state begins "
                "with."},
    {.name = "timeout",
     .type = KeyType::Millis,
     .default_value = "0",
     .meaning = "A key that did not come for so long goes; 0: none goes.",
     .min = 0},
    {.name = "maxKeys",
     .type = KeyType::Integer,
     .default_value = "2000000",
     .meaning = "Keys at most; further ones are merged into one, called (other), and are counted.",
     .min = 1,
     .max = 1'000'000'000},
    state_bytes_key,
};

constexpr Key row_bytes_key{
    .name = "maxStateBytes",
    .type = KeyType::Bytes,
    .default_value = "1G",
    .meaning =
        "Memory of the rows that it holds until the end of a batch, at most; rows that there "
        "is no room for are left out, and counted.",
    .min = 64 * 1024};

constexpr Key top_keys[] = {
    input_key,
    {.name = "n",
     .type = KeyType::Integer,
     .default_value = "10",
     .meaning = "Rows.",
     .min = 1,
     .max = 1'000'000},
    {.name = "order",
     .type = KeyType::List,
     .meaning = "Columns to order by, a minus in front for falling.",
     .required = true},
    row_bytes_key,
};

constexpr Key sort_keys[] = {
    input_key,
    {.name = "order",
     .type = KeyType::List,
     .meaning = "Columns to order by, a minus in front for falling.",
     .required = true},
    row_bytes_key,
};

constexpr Key limit_keys[] = {
    input_key,
    {.name = "n",
     .type = KeyType::Integer,
     .meaning = "Rows of a batch that go on.",
     .required = true,
     .min = 0},
};

constexpr ComponentInfo parse{.alias = "parse", .meaning = "Reads records.", .keys = parse_keys};
constexpr ComponentInfo split{.alias = "split", .meaning = "Cuts into words.", .keys = split_keys};
constexpr ComponentInfo map{.alias = "map", .meaning = "Computes columns.", .keys = map_keys};
constexpr ComponentInfo filter{
    .alias = "filter", .meaning = "Leaves rows out.", .keys = filter_keys};
constexpr ComponentInfo having{
    .alias = "having", .meaning = "Leaves results out.", .keys = filter_keys};
constexpr ComponentInfo window{.alias = "window",
                               .meaning = "Says which rows an aggregation puts together in time.",
                               .keys = window_keys};
constexpr ComponentInfo aggregate{
    .alias = "aggregate", .meaning = "Counts, sums and the like by key.", .keys = aggregate_keys};
constexpr ComponentInfo state{
    .alias = "state", .meaning = "Results over all batches, by key.", .keys = state_keys};
constexpr ComponentInfo top{.alias = "top", .meaning = "The first by an order.", .keys = top_keys};
constexpr ComponentInfo sort{.alias = "sort", .meaning = "Orders results.", .keys = sort_keys};
constexpr ComponentInfo limit{.alias = "limit", .meaning = "The first rows.", .keys = limit_keys};

constexpr const ComponentInfo* all[] = {&parse,     &split, &map, &filter, &having, &window,
                                        &aggregate, &state, &top, &sort,   &limit};

}  // namespace

std::span<const ComponentInfo* const> step_types() { return all; }

}  // namespace sluice::analytics
