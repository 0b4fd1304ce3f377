// Work in a process of its own: what kills it is told as an error.
#ifndef ASCEND310_INFER_CHILD_H_
#define ASCEND310_INFER_CHILD_H_

#include <functional>
#include <string>

namespace erfnet {

// Runs `work` in a child of this process, which must have no other threads. A Fault of it is thrown here; where a
// signal ends the child, or it leaves by itself, that is a Fault (kBadModel): `what` says what it was doing, then
// `remedy`. SIGINT and SIGTERM end the child, and are a Fault (kInterrupted).
void RunInChild(const std::string& what, const std::string& remedy, const std::function<void()>& work);

}  // namespace erfnet

#endif  // ASCEND310_INFER_CHILD_H_
