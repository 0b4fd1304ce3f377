#ifndef ASCEND310_INFER_ONE_LINE_H_
#define ASCEND310_INFER_ONE_LINE_H_

#include <algorithm>
#include <string>

namespace erfnet {

// A text with a file's name in it, which may hold anything, as a terminal can be given it: newlines and what else would
// steer it become question marks. UTF-8 stays.
inline std::string OneLine(std::string text) {
  std::replace_if(text.begin(), text.end(), [](unsigned char letter) { return letter < ' ' || letter == 0x7f; }, '?');
  return text;
}

}  // namespace erfnet

#endif  // ASCEND310_INFER_ONE_LINE_H_
