#ifndef ASCEND310_INFER_SUFFIX_H_
#define ASCEND310_INFER_SUFFIX_H_

#include <string_view>

namespace erfnet {

inline bool EndsWith(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

}  // namespace erfnet

#endif  // ASCEND310_INFER_SUFFIX_H_
