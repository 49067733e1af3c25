(** What the clauses say of sums and means of floats, as real numbers with named roundings [EX-1, EX-2, TI-7, TI-8].

    [RN d] has no upper end; claims/Floats.v shows that no sum that is spoken of here reaches the end of fp64. *)

From Coq Require Import ZArith Reals List.
From Flocq Require Import Core.Core.
From MergeAlgebra.Definitions Require Import Bits Rounding.
Import ListNotations.
Open Scope R_scope.

Notation RN64 := (RN F64).
Notation RN32 := (RN F32).
Notation "'2^' e" := (bpow radix2 e) (at level 8, e at level 8, format "'2^' e").

(** * Numbers *)

(** A dtype's numbers, as if its exponents had no upper end. *)
Definition has_format (d : dtype) (x : R) : Prop :=
  generic_format radix2 (FLT_exp (least_exponent d) (precision d)) x.

(** The finite numbers of a dtype: those that its bits stand for. *)
Definition is_number (d : dtype) (x : R) : Prop := has_format d x /\ Rabs x < 2^(most_exponent d).

Definition all_numbers (d : dtype) : list R -> Prop := Forall (is_number d).

(** Whole multiples of 2^e. *)
Definition on_grid (e : Z) (x : R) : Prop := exists n : Z, x = IZR n * 2^e.

(** The grid of an fp32 number that is not 0 is 2^(its exponent), which lies in its last place [EX-2]. *)
Definition grid_exponent (v : R) : Z := cexp radix2 (FLT_exp (least_exponent F32) (precision F32)) v.

(** Within a range of binades, zeros apart. *)
Definition between (a b : Z) (v : R) : Prop := v = 0 \/ 2^a <= Rabs v < 2^b.

(** * Sums *)

Definition sum : list R -> R := fold_right Rplus 0.

Definition sum_of {A} (f : A -> R) (xs : list A) : R := sum (map f xs).

(** Numbers that are added in some order: the ways to put brackets, and all ways to line them up. *)
Inductive tree (A : Type) :=
  | Leaf (x : A)
  | Node (a b : tree A).
Arguments Leaf {A}.
Arguments Node {A}.

Fixpoint leaves {A} (t : tree A) : list A :=
  match t with
  | Leaf x => [x]
  | Node a b => leaves a ++ leaves b
  end.

(** A tree and all parts of it: the partial sums. *)
Inductive part_of {A} (t : tree A) : tree A -> Prop :=
  | Itself : part_of t t
  | InLeft a b : part_of t a -> part_of t (Node a b)
  | InRight a b : part_of t b -> part_of t (Node a b).

(** The sum by fp64 additions, each rounded. [f]: what of each leaf is added. *)
Fixpoint sum64 {A} (f : A -> R) (t : tree A) : R :=
  match t with
  | Leaf x => f x
  | Node a b => RN64 (sum64 f a + sum64 f b)
  end.

(** * The certificate, as the clause has it [EX-2] *)

(** The sum of magnitudes is below 2^53 times the grid of each number that is not 0: so below that of the least; and
    always so when all are 0. *)
Definition certified (vs : list R) : Prop :=
  forall v, In v vs -> v <> 0 -> sum_of Rabs vs < 2^53 * 2^(grid_exponent v).

(** * The methods, as the clauses have them *)

(** A contribution at a coordinate: v and c [TI-6, ME-1]. *)
Definition vote : Type := R * R.
Definition value (x : vote) : R := fst x.
Definition coefficient (x : vote) : R := snd x.

(** RN32(RN64(RN64(S) / RN64(W))). *)
Definition rounded_ratio (S W : R) : R := RN32 (RN64 (RN64 S / RN64 W)).

(** The sign of the exact sum [TI-7]. *)
Definition gamma (votes : list vote) : comparison := Rcompare (sum_of value votes) 0.

(** The votes with a sign. *)
Definition having (sign : comparison) (votes : list vote) : list vote :=
  filter (fun x => match Rcompare (value x) 0, sign with
                   | Gt, Gt | Lt, Lt => true
                   | _, _ => false
                   end) votes.

(** tau_m of TIES-Merging [TI-8], *)
Definition ties (votes : list vote) : R :=
  match gamma votes with
  | Eq => 0
  | sign => rounded_ratio (sum_of value (having sign votes)) (sum_of coefficient (having sign votes))
  end.

(** of the mean, [others] being the coefficients of contributions without the tensor [ME-1], *)
Definition mean (votes : list vote) (others : list R) : R :=
  rounded_ratio (sum_of value votes) (sum (map coefficient votes ++ others)).

(** and of task arithmetic [TA-1]. *)
Definition task_arithmetic (votes : list vote) : R := RN32 (RN64 (sum_of value votes)).

(** theta where the base has a dtype other than F64 [MG-3]: rounded by RN64, by RN32, and to the base's dtype. *)
Definition merged (d : dtype) (base lambda32 tau_m : R) : R := narrow_R d (base + lambda32 * tau_m).
