(** The workspace of the counterexamples: its maintainers are 1 and 2, its base is 0. *)

From Coq Require Import NArith List Bool.
From MergeAlgebra.Definitions Require Import OperationSet Policy PolicyNumbers.
Import ListNotations.
Open Scope N_scope.

Definition here : authority (numbers 0) := governed 0 (Some [1; 2]).

Definition by_ (k : N) (grant : option N) (what : action_over N (N * N) unit N) : entry here :=
  Entry (Some (k, true)) grant what.

(** Each has its id last. *)
Definition grants_ (maintainer writer number : N) : entry here := by_ maintainer None (Grant writer tt number).
Definition adds_ (writer grant contribution number : N) : entry here :=
  by_ writer (Some grant) (Data (Add (0, contribution) tt number)).
Definition removes_ (writer grant : N) (adds : list N) (number : N) : entry here :=
  by_ writer (Some grant) (Data (Remove adds number)).
Definition revokes_ (maintainer : N) (grants : list N) (number : N) : entry here :=
  by_ maintainer None (Revoke grants number).
Definition keeps_ (maintainer revoke : N) (kept : list N) (number : N) : entry here :=
  by_ maintainer None (Keep revoke kept number).

(** Another policy: each revoke would be lifted by any keep, of whichever revoke. *)
Definition kept_by_any (s : state_over (entry here)) (grant i : N) : bool :=
  let kept := existsb (fun k => existsb (fun r => keeps here k (number r) i) s) s in
  forallb (fun r => implb (revokes here r grant) kept) s.
