// What is told on a standard stream, and where nobody can be told any more.
#ifndef ASCEND310_INFER_TELL_H_
#define ASCEND310_INFER_TELL_H_

#include <iosfwd>
#include <string>

namespace erfnet {

// Writes all of it at once. Throws Fault with the reason: kDiskFull where there is no room, else kUnexpected.
void Tell(std::ostream& out, const std::string& text);

}  // namespace erfnet

#endif  // ASCEND310_INFER_TELL_H_
