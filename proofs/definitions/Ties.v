(** TIES-Merging after trim, at one coordinate: elect, then disjoint mean; and the mean and task arithmetic
    [TI-6 to TI-8, ME-1, TA-1, EX-4, EX-5].

    A contribution is here a vote: its rounded v and its coefficient c > 0, each a whole number of units of 2^-149. The
    units of S and W cancel, so S / W is the real number of the clauses. Rounding is left to the last: nothing here
    rounds. *)

From Coq Require Import ZArith List Bool QArith.
Import ListNotations.
Open Scope Z_scope.

Definition vote : Set := (Z * Z)%type.
Definition value (x : vote) : Z := fst x.
Definition coefficient (x : vote) : Z := snd x.

Definition sum_of (zs : list Z) : Z := fold_right Z.add 0 zs.
Definition total_value (votes : list vote) : Z := sum_of (map value votes).
Definition total_coefficient (votes : list vote) : Z := sum_of (map coefficient votes).

(** All coefficients are positive [RC-6]. *)
Definition weighted (votes : list vote) : Prop := Forall (fun x => 0 < coefficient x) votes.

(** S / W. *)
Definition ratio (sums : Z * Z) : Q := inject_Z (fst sums) / inject_Z (snd sums).

(** * As the clauses have it *)

(** gamma, the sign of the exact sum of v [TI-7]. *)
Definition gamma (votes : list vote) : Z := Z.sgn (total_value votes).

(** A, the votes that agree with gamma; none where gamma is 0 [TI-8]. *)
Definition agrees (sign : Z) (x : vote) : bool := negb (sign =? 0) && (Z.sgn (value x) =? sign).
Definition agreeing (votes : list vote) : list vote := filter (agrees (gamma votes)) votes.

(** S and W over A; where gamma is 0 their quotient is to be 0, which 0 and 1 stand for [TI-8]. *)
Definition ties_sums (votes : list vote) : Z * Z :=
  if gamma votes =? 0 then (0, 1) else (total_value (agreeing votes), total_coefficient (agreeing votes)).

(** tau_m before its rounding [TI-8, ME-1, TA-1]. *)
Definition disjoint_mean (votes : list vote) : Q := ratio (ties_sums votes).
Definition mean_sums (votes : list vote) : Z * Z := (total_value votes, total_coefficient votes).
Definition mean (votes : list vote) : Q := ratio (mean_sums votes).
Definition task_arithmetic (votes : list vote) : Z := total_value votes.

(** * As it is computed: lift, combine, finalize [EX-4, EX-5] *)

(** The sums (S+, W+, S-, W-): of the positive v and their c, of the negative v and theirs. *)
Record aggregate : Set := Aggregate { S_pos : Z; W_pos : Z; S_neg : Z; W_neg : Z }.

Definition empty : aggregate := Aggregate 0 0 0 0.

Definition lift (x : vote) : aggregate :=
  match Z.sgn (value x) with
  | 1 => Aggregate (value x) (coefficient x) 0 0
  | -1 => Aggregate 0 0 (value x) (coefficient x)
  | _ => empty
  end.

Definition combine (a b : aggregate) : aggregate :=
  Aggregate (S_pos a + S_pos b) (W_pos a + W_pos b) (S_neg a + S_neg b) (W_neg a + W_neg b).

(** Undoes combine. *)
Definition retract (a b : aggregate) : aggregate :=
  Aggregate (S_pos a - S_pos b) (W_pos a - W_pos b) (S_neg a - S_neg b) (W_neg a - W_neg b).

(** The sum of all v: task arithmetic, and the mean's S. *)
Definition total (a : aggregate) : Z := S_pos a + S_neg a.

Definition elect (a : aggregate) : Z := Z.sgn (total a).

(** S and W of the elected side. *)
Definition finalize (a : aggregate) : Z * Z :=
  match elect a with
  | 1 => (S_pos a, W_pos a)
  | -1 => (S_neg a, W_neg a)
  | _ => (0, 1)
  end.

(** All votes of a list in one aggregate. *)
Definition aggregate_of (votes : list vote) : aggregate :=
  fold_right (fun x a => combine (lift x) a) empty votes.

(** Contributions combined in some tree. *)
Inductive tree : Set :=
  | Leaf (x : vote)
  | Node (a b : tree).

Fixpoint leaves (t : tree) : list vote :=
  match t with
  | Leaf x => [x]
  | Node a b => leaves a ++ leaves b
  end.

Fixpoint evaluate (t : tree) : aggregate :=
  match t with
  | Leaf x => lift x
  | Node a b => combine (evaluate a) (evaluate b)
  end.

(** * Many coordinates *)

(** A contribution's v at the coordinates of a block, and its coefficient. *)
Definition voter : Set := (list Z * Z)%type.

Definition lift_block (x : voter) : list aggregate := map (fun v => lift (v, snd x)) (fst x).

Fixpoint combine_blocks (a b : list aggregate) : list aggregate :=
  match a, b with
  | x :: a', y :: b' => combine x y :: combine_blocks a' b'
  | _, _ => []
  end.

Definition aggregate_block (n : nat) (voters : list voter) : list aggregate :=
  fold_right (fun x a => combine_blocks (lift_block x) a) (repeat empty n) voters.

(** All voters have a v at each of n coordinates. *)
Definition covers (n : nat) (voters : list voter) : Prop := Forall (fun x => length (fst x) = n) voters.

(** S and W at n coordinates. *)
Definition merge_block (n : nat) (voters : list voter) : list (Z * Z) := map finalize (aggregate_block n voters).

(** The votes at coordinate i. *)
Definition votes_at (i : nat) (voters : list voter) : list vote := map (fun x => (nth i (fst x) 0, snd x)) voters.

(** * TIES as an operator on real numbers, all coefficients 1 *)

(** The product of the denominators: a grid on which all of the numbers lie. *)
Definition common_grid (xs : list Q) : Z := fold_right (fun x g => Zpos (Qden x) * g) 1 xs.

(** A number and a coefficient of 1, both counted in units of 1/grid. *)
Definition vote_on (grid : Z) (x : Q) : vote := (Qnum x * (grid / Zpos (Qden x)), grid).

Definition ties (xs : list Q) : Q := disjoint_mean (map (vote_on (common_grid xs)) xs).
