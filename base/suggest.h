// "did you mean …?" for names that somebody typed.

#pragma once

#include <span>
#include <string>
#include <string_view>

namespace baton {

// `; did you mean "parallelism"?` when one of `known` is close to `name` (Levenshtein distance of
// at most a third of its length, or 2), else "". Names under 3 or over 64 characters are not
// compared.
std::string DidYouMean(std::string_view name, std::span<const std::string_view> known);

// `text` in double quotes, cut after 64 characters, control characters and quotes escaped: what a
// stranger sent is safe to show in a message or a log line.
std::string Quoted(std::string_view text);

}  // namespace baton
